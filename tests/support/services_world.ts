/** A fake machine on which services can be installed: systemd, a compiled program, builds of the engine that are whole, a model, an owner who is not root. */
import { createHash } from "node:crypto";
import { BEFORE, CURRENT, LIVE, TOP } from "../../lib/services/places.ts";
import { BUILD_A, BUILD_B, benchMachine } from "./bench_world.ts";
import { FAKE_HOME, type FakeFile, type FakeMachineOptions } from "./fake_machine.ts";
import { systemctl, systemdFiles, type KnownUnit } from "./fake_systemd.ts";

/** How a world differs from the usual one. */
export interface ServicesWorld {
  /** A word among this host's roles. */
  readonly role?: string;
  /** Builds, the live one first; each other one is proven. None at all when empty. */
  readonly builds?: readonly string[];
  readonly models?: readonly string[];
  readonly units?: Readonly<Record<string, KnownUnit>>;
  /** Releases that stand there already, the installed one first; the others are from before it. */
  readonly releases?: readonly string[];
  /** What serves in the place of the installed one, as root's act leaves it. */
  readonly serving?: string;
  /** The release that was proven before the installed one. */
  readonly before?: string;
  /** The link to the live release leads straight to it, as an older release of ours left it. */
  readonly plainLink?: boolean;
  readonly ownerUid?: number;
  readonly files?: Readonly<Record<string, FakeFile>>;
}

const at = (path: string) => `${FAKE_HOME}/${path}`;
export const PROGRAM = "the one program";
const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");
/** The release that this program is. */
export const RELEASE = hashOf(PROGRAM).slice(0, 16);
export { BUILD_A, BUILD_B };
const OLDER: Readonly<Record<string, string>> = Object.fromEntries(
  ["an older program", "a still older one", "the oldest"].map((text) => [
    hashOf(text).slice(0, 16),
    text,
  ]),
);
/** Three older releases, each as it was built. */
export const OLDER_RELEASES = Object.keys(OLDER) as [string, string, string];

/** The parts that such a machine is made from. */
export function servicesMachine(world: ServicesWorld = {}): FakeMachineOptions {
  const builds = world.builds ?? [BUILD_A];
  const uid = world.ownerUid ?? 1000;
  const base = benchMachine({ builds, models: world.models ?? ["tiny"], root: true });
  const files: Record<string, FakeFile> = {
    [FAKE_HOME]: { folder: true, mode: 0o700, uid },
    "/etc/passwd": `root:x:0:0::/root:/bin/bash\nop:x:${uid}:${uid}::/home/op:/bin/bash\n`,
    "/etc/group": `root:x:0:\nop:x:${uid}:\n`,
    ...base.files,
    ...systemdFiles(world.units),
    [at("bin/shelter")]: { text: PROGRAM, mode: 0o755 },
  };
  for (const id of builds) {
    const server = `the server of ${id}`;
    const account = files[at(`runtime/llama.cpp/${id}/build-info.json`)] as string;
    const made = { "bin/llama-server": { sha256: hashOf(server), bytes: server.length } };
    const bench = { "bin/llama-bench": { sha256: hashOf("bench"), bytes: 5 } };
    const info = { ...(JSON.parse(account) as object), files: { ...made, ...bench } };
    files[at(`runtime/llama.cpp/${id}/build-info.json`)] = JSON.stringify(info);
    files[at(`runtime/llama.cpp/${id}/bin/llama-server`)] = { text: server, mode: 0o755 };
    const proof = {
      build: id,
      at: "2026-01-01T00:00:00.000Z",
      model: "tiny",
      agreed: {},
      answer: "yes",
    };
    files[at(`runtime/llama.cpp/${id}/proof.json`)] = JSON.stringify(proof);
  }
  if (world.role !== undefined) {
    files[at("shared.cfg")] = `hosts:\n  testhost:\n    roles: [${world.role}]\n`;
  }
  for (const release of world.releases ?? []) {
    const text = release === RELEASE ? PROGRAM : (OLDER[release] ?? `release ${release}`);
    files[`${TOP}/${release}/shelter`] = { text, mode: 0o755 };
  }
  const [live] = world.releases ?? [];
  if (live !== undefined) {
    files[CURRENT] = { link: world.plainLink === true ? live : `live/${live}` };
    if (world.plainLink !== true) {
      files[`${LIVE}/${live}`] = { link: `../${world.serving ?? live}` };
    }
  }
  if (world.before !== undefined) files[BEFORE] = { link: world.before };
  return {
    ...base,
    files: { ...files, ...world.files },
    programs: { ...base.programs, systemctl, setpriv: () => ({}) },
  };
}
