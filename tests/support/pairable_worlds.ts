/** Fake hosts that can really be paired: real ssh-keygen and openssl, and an ssh between them that starts the other one's `shelter peer` in this process. */
import { asFailure } from "../../lib/errors.ts";
import { inHome } from "../../lib/keep/home.ts";
import type { Act } from "../../lib/machine/act.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe, type Probe } from "../../lib/machine/probe.ts";
import { deskOf, type Desk } from "../../lib/orchestra/desk.ts";
import { part, type Telling } from "../../lib/peer/part.ts";
import { answerPeer } from "../../lib/peer/serve.ts";
import { pairUnit } from "../../lib/trust/unit.ts";
import type { Args, RunReport } from "../../lib/unit.ts";
import { FAKE_HOME, fakeMachine, type FakeProgram, type FakeWorld } from "./fake_machine.ts";
import { runOn, SILENT } from "./run.ts";

const HOST_KEY = (name: string) => `ssh-ed25519 ${`${name}host`.padEnd(68, "A")}`;

/** One host. */
export interface PairableHost {
  readonly name: string;
  readonly world: FakeWorld;
  readonly probe: Probe;
  readonly act: Act;
  /** Whether its ssh server answers. */
  up: boolean;
  /** Whether the operators of other hosts have a login of their own here. */
  login: boolean;
  desk(want: Args): Desk;
}

/** The hosts, by name. */
export interface PairableWorlds {
  host(name: string): PairableHost;
  /** As `shelter pair <to>` on `from`, the host key accepted. */
  pair(from: string, to: string, want?: Args): Promise<RunReport>;
  /** As `shelter pair <peer> --undo` on `on`. */
  part(on: string, peer: string, telling?: Telling): Promise<RunReport>;
  dispose(): void;
}

/** Makes them. */
export function pairableWorlds(names: readonly string[]): PairableWorlds {
  const address = (name: string) => `192.0.2.${names.indexOf(name) + 1}`;
  const hosts = new Map<string, PairableHost>();
  const host = (name: string): PairableHost => {
    const found = hosts.get(name);
    if (found) return found;
    throw new Error(`no host ${name}`);
  };
  for (const name of names) {
    const ssh: FakeProgram = (argv, _world, { input = "" }) => {
      const at = argv.indexOf("--");
      const to = names.find((one) => argv[at + 1]?.endsWith(`@${address(one)}`));
      return reach(to === undefined ? undefined : host(to), argv, input, address(name));
    };
    const world = fakeMachine({
      files: {
        "/etc/ssh/ssh_host_ed25519_key.pub": `${HOST_KEY(name)} root@${name}\n`,
        [inHome.config(FAKE_HOME)]: `name: ${name}\n`,
      },
      programs: { ssh, "ssh-keygen": real, openssl: real },
    });
    const probe = createProbe(world.machine, FAKE_HOME, name);
    hosts.set(name, {
      ...{ name, world, probe, up: true, login: true },
      act: createAct(world.machine, probe),
      desk: (want) => deskOf(world.machine, { home: FAKE_HOME, host: name }, want, {}),
    });
  }
  return {
    host,
    pair: (from, to, want = {}) =>
      runOn(
        host(from).world,
        pairUnit(to, {
          ...{ address: address(to), port: 22, user: "op", home: FAKE_HOME },
          hostKeys: [HOST_KEY(to)],
        }),
        { host: from, want: { yes: true, ...want } },
      ),
    part: (on, peer, telling = "must") =>
      part(
        {
          ...{ machine: host(on).world.machine, home: FAKE_HOME, host: on, say: SILENT },
          signal: new AbortController().signal,
        },
        peer,
        telling,
      ),
    dispose: () => hosts.forEach(({ world }) => world.dispose()),
  };
}

function real(argv: readonly string[], _world: FakeWorld, { input }: { readonly input?: string }) {
  const ran = Bun.spawnSync([...argv], { ...(input ? { stdin: Buffer.from(input) } : {}) });
  return { code: ran.exitCode, stdout: ran.stdout.toString(), stderr: ran.stderr.toString() };
}

/** What sshd there would do: a key of ours opens its forced command, if it is let in; without one it is the operator's own login. */
async function reach(
  there: PairableHost | undefined,
  argv: readonly string[],
  input: string,
  from: string,
) {
  if (!there?.up) return { code: 255, stderr: "ssh: connect to host: No route to host" };
  const identity = argv[argv.indexOf("-i") + 1];
  const words = argv.slice(argv.indexOf("--") + 2);
  const denied = { code: 255, stderr: "op@there: Permission denied (publickey).\n" };
  let asked: readonly string[];
  let original: string | undefined;
  if (argv.includes("-i")) {
    const key = (await Bun.file(`${identity}.pub`).text()).split(" ").slice(0, 2).join(" ");
    const path = "/home/op/.ssh/authorized_keys";
    const lines = there.world.exists(path) ? there.world.read(path).split("\n") : [];
    const forced = lines.find((line) => line.includes(key));
    if (forced === undefined) return denied;
    asked = /' peer (\S+ \S+)"/.exec(forced)?.[1]?.split(" ") ?? [];
    original = words.join(" ");
  } else {
    if (!there.login) return denied;
    asked = words.join(" ").split(" peer ")[1]?.split(" ") ?? [];
  }
  let stdout = "";
  const nothing = () => Promise.reject(new Error("not for this request"));
  try {
    const code = await answerPeer({
      machine: there.world.machine,
      place: { home: FAKE_HOME, host: there.name },
      ...{ words: asked, original, connection: `${from} 40000 192.0.2.9 22` },
      input: () => Promise.resolve(input),
      bytes: () => {
        throw new Error("not for this request");
      },
      ...{ opening: nothing, send: nothing, runScript: nothing },
      print: (text) => void (stdout += `${text}\n`),
      ...{ remark: () => undefined, interrupt: () => undefined },
    });
    return { code, stdout };
  } catch (error) {
    const { what, why } = asFailure(error);
    return { code: 11, stdout, stderr: `${what}: ${why}\n` };
  }
}
