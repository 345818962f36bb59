/** Two fake hosts that are paired, with an ssh between them that starts the other one's `shelter peer` in this process. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asFailure } from "../../lib/errors.ts";
import { inHome } from "../../lib/keep/home.ts";
import { answerPeer } from "../../lib/peer/serve.ts";
import type { Offer } from "../../lib/trust/offer.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeMachineOptions,
  type FakeProgram,
  type FakeWorld,
} from "./fake_machine.ts";
import { makeAuthority } from "./certificates.ts";

const certificates = new Map<string, string>();

/** A certificate of `name` that is good for `days`; the same one each time. */
function certificateOf(name: string, days: number): string {
  const known = certificates.get(`${name} ${days}`);
  if (known !== undefined) return known;
  const folder = mkdtempSync(join(tmpdir(), "shelter-worlds-"));
  try {
    const made = readFileSync(makeAuthority(folder).issue(name, days).cert, "utf8");
    certificates.set(`${name} ${days}`, made);
    return made;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a fake host says of itself; its certificate is good for `days`. */
export function offerOf(name: string, days = 90): Offer {
  const key = (role: string) => `ssh-ed25519 ${`${name}${role}`.padEnd(68, "A")}`;
  return {
    schema: 1,
    name,
    address: "192.0.2.2",
    port: 22,
    user: "op",
    home: FAKE_HOME,
    hostKeys: [key("host")],
    keys: {
      ...{ mirror: key("mirror"), witness: key("witness") },
      ...{ operator: key("operator"), signing: key("signing") },
    },
    certificate: certificateOf(name, days),
  };
}

/** Writes down, on a fake host, that it is paired with `peer`. */
export function trusts(world: FakeWorld, peer: Offer): void {
  const trust = { ...peer, pairedAt: "2026-01-01T00:00:00.000Z" };
  world.write(inHome.trust(FAKE_HOME, peer.name), {
    text: JSON.stringify(trust),
    mode: 0o600,
  });
}

/** A fake ssh that reaches `there`, whose name is `name`, from the host `from`. */
export function sshTo(there: FakeWorld, name: string, from: string): FakeProgram {
  return async (argv, _world, { input = "" }) => {
    const role = argv[argv.indexOf("-i") + 1]?.split("/").at(-1) ?? "";
    const words = argv.slice(argv.indexOf("--") + 2);
    let stdout = "";
    let stderr = "";
    try {
      const code = await answerPeer({
        machine: there.machine,
        place: { home: FAKE_HOME, host: name },
        words: [role, from],
        original: words.join(" "),
        connection: undefined,
        input: () => Promise.resolve(input),
        bytes: async function* () {
          yield await Promise.resolve(Buffer.from(input));
        },
        opening: () =>
          Promise.resolve({ line: input.split("\n")[0] ?? "", further: () => undefined }),
        remark: (line) => void (stderr += `${line}\n`),
        print: (text) => void (stdout += `${text}\n`),
        send: (bytes) => {
          stdout += Buffer.from(bytes).toString("latin1");
          return Promise.resolve();
        },
        runScript: (script, flags) => {
          stdout += `${script} ${flags.join(" ")}\n`;
          return Promise.resolve(0);
        },
        interrupt: () => undefined,
      });
      return { code, stdout, stderr };
    } catch (error) {
      const { what, why } = asFailure(error);
      return { code: 11, stdout, stderr: `${stderr}${what}: ${why}\n` };
    }
  };
}

/** phantom, who can reach shadow; both are paired with each other. */
export function twoWorlds(
  phantom: FakeMachineOptions = {},
  shadow: FakeMachineOptions = {},
): { readonly phantom: FakeWorld; readonly shadow: FakeWorld; readonly dispose: () => void } {
  const there = fakeMachine(shadow);
  const here = fakeMachine({
    ...phantom,
    programs: { ssh: sshTo(there, "shadow", "phantom"), ...phantom.programs },
  });
  trusts(here, offerOf("shadow"));
  trusts(there, offerOf("phantom"));
  return {
    phantom: here,
    shadow: there,
    dispose: () => {
      here.dispose();
      there.dispose();
    },
  };
}
