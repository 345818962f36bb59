/** Two hosts that are apart: another release, another clock, a certificate that is not believed. Each is said, with the command for it. */
import { describe, expect, test } from "bun:test";
import { inHome } from "../../lib/keep/home.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { mirrorFailure } from "../../lib/mirror/talk.ts";
import { parseState, WIRE } from "../../lib/mirror/wire.ts";
import { peerLines } from "../../lib/orchestra/peers_lines.ts";
import type { PeerView } from "../../lib/orchestra/peers_view.ts";
import { status } from "../../lib/orchestra/status.ts";
import { askHost } from "../../lib/peer/ask.ts";
import { peerFailure } from "../../lib/peer/channel.ts";
import { runOnPeer } from "../../lib/peer/call.ts";
import { BEGINS, releaseLine } from "../../lib/peer/operator.ts";
import { RELEASE } from "../../lib/release.ts";
import { readTrust } from "../../lib/trust/store.ts";
import { unit as structure } from "../../scripts/00_check_structure.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeProgram,
  type FakeWorld,
} from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";
import { offerOf, sshTo, trusts, twoWorlds } from "../support/two_worlds.ts";

const kept = keptForEachTest();
const HOUR = 3_600_000;
const BRING = ["rsync", "-aH", "bin/", `op@192.0.2.2:${FAKE_HOME}/bin/`];
const UPDATE = ["./bin/shelter", "update"];
const OLDER = { ...RELEASE, version: "0.0.9", commit: null };
const TRUST = { ...offerOf("shadow"), pairedAt: "2026-01-01T00:00:00.000Z" };
const NEWER = { ...RELEASE, version: "99.0.0", commit: null };

const place = { home: FAKE_HOME, host: "phantom" };
const eyes = ({ machine }: FakeWorld, host = "phantom") => {
  const probe = createProbe(machine, FAKE_HOME, host);
  return { probe, act: createAct(machine, probe) };
};

describe("--host", () => {
  async function heard(begins: string): Promise<readonly string[]> {
    const ssh = () => ({ stderr: `${BEGINS}${begins}\n` });
    const world = kept(fakeMachine({ programs: { ssh } }));
    trusts(world, offerOf("shadow"));
    const err: string[] = [];
    await runOnPeer(
      { machine: world.machine, ...place, peer: "shadow", script: "00_check_structure", argv: [] },
      { out: () => undefined, err: (line) => err.push(line) },
      new AbortController().signal,
    );
    return err;
  }
  const at = (off: number) => new Date(Date.now() + off).toISOString();

  test("says how far the other clock is off, and nothing of one that is right", async () => {
    expect(await heard(`${releaseLine()} at ${at(0)}`)).toEqual([]);
    expect((await heard(`${releaseLine()} at ${at(HOUR + 5000)}`)).join()).toStartWith(
      "the clock of shadow is 1 h 00 min ahead of this host's",
    );
    expect((await heard(`${releaseLine()} at ${at(-HOUR)}`)).join()).toContain("behind");
    expect(await heard(`${releaseLine()} at noon`)).toEqual([]);
  });

  test("names an older and a newer release, and what brings them together", async () => {
    const [first, second] = await heard(`0.0.9 of no commit at ${at(0)}`);
    expect(first).toBe("shadow runs another release: 0.0.9 of no commit");
    expect(second).toContain(BRING.join(" "));
    expect((await heard("99.0.0 of no commit"))[1]).toContain("./bin/shelter update");
  });

  test("the other side says its time itself", async () => {
    const worlds = kept(twoWorlds({}, { now: () => Date.now() - 2 * HOUR }));
    const err: string[] = [];
    await runOnPeer(
      {
        machine: worlds.phantom.machine,
        ...place,
        peer: "shadow",
        script: "00_check_structure",
        argv: [],
      },
      { out: () => undefined, err: (line) => err.push(line) },
      new AbortController().signal,
    );
    expect(err.join()).toMatch(/^the clock of shadow is 2 h 00 min behind this host's/);
  });
});

test("a word in a form that can't be read tells by its release whose is the older", async () => {
  for (const [release, said, fix] of [
    [OLDER, "its programs are older, 0.0.9 (no commit), here", BRING],
    [NEWER, "its programs are newer, 99.0.0 (no commit), here", UPDATE],
    [undefined, "not in a form that this release knows", BRING],
  ] as const) {
    const stdout = JSON.stringify({ schema: 0, host: "shadow", release });
    const { phantom } = kept(twoWorlds({ programs: { ssh: () => ({ stdout }) } }));
    const { probe, act } = eyes(phantom);
    const trust = readTrust(probe, "shadow");
    if (!trust) throw new Error("not paired");
    const asked = await askHost(probe, act, trust);
    expect(asked).toMatchObject({ answered: false, failure: { id: "peer-other-release", fix } });
    if (!asked.answered) expect(asked.failure.why).toContain(said);
  }
});

test("a release from before hosts could be paired is told as one", () => {
  const stderr = "✗ shelter peer: there is no such command\n  ./bin/shelter --help\n";
  const ran = { code: 2, stdout: "", stderr, timedOut: false };
  const failure = peerFailure(TRUST, "asking shadow how it is", ran);
  expect(failure).toMatchObject({ id: "peer-other-release", fix: BRING });
});

/** Two hosts, of which shadow says that it is of this release; `why` is what phantom's gateway holds against shadow. */
function apart(release: typeof RELEASE, why?: string, off = 0) {
  const engine = { name: "shadow", kind: "peer", state: "down", why };
  const ssh: FakeProgram = async (...one) => {
    const ran = await sshTo(worlds.shadow, "shadow", "phantom")(...one);
    const stdout = ran.stdout ?? "";
    if (!stdout.startsWith("{")) return ran;
    return { ...ran, stdout: JSON.stringify({ ...(JSON.parse(stdout) as object), release }) };
  };
  const worlds = kept(
    twoWorlds(
      {
        programs: { ssh },
        fetch: () => Promise.resolve(Response.json({ serves: null, engines: [engine] })),
      },
      { now: () => Date.now() + off },
    ),
  );
  const { phantom } = worlds;
  if (why !== undefined) {
    const key = `${FAKE_HOME}/runtime/services/gateway.key`;
    phantom.write(key, { text: "k", mode: 0o600 });
    const listen = { address: "127.0.0.1", port: 8770, keyFile: key };
    const engines = [{ name: "phantom", kind: "local", url: "http://127.0.0.1:8771" }];
    const document = { schema: 1, host: "phantom", listen, engines };
    phantom.write(inHome.gateway(FAKE_HOME), { text: JSON.stringify(document), mode: 0o600 });
  }
  return worlds;
}
async function shown(world: FakeWorld) {
  const { machine } = world;
  const spoken = await status({ machine, place, probe: eyes(world).probe, want: {}, units: {} });
  const [view] = (spoken.json as unknown as { peers: PeerView[] }).peers;
  if (!view) throw new Error("no peer is shown");
  return { view, text: peerLines(view, Date.now()).join("\n") };
}

describe("status", () => {
  test("names another release with the command that brings the programs", async () => {
    const older = await shown(apart(OLDER).phantom);
    expect(older.view.troubles).toMatchObject([{ fix: BRING }]);
    expect(older.text).toContain("its programs are older than this host's: 0.0.9 (no commit)");
    expect(older.text).toContain(BRING.join(" "));
    const newer = await shown(apart(NEWER).phantom);
    expect(newer.view.troubles).toMatchObject([{ fix: UPDATE }]);
    expect((await shown(apart(RELEASE).phantom)).view.troubles).toEqual([]);
  });

  test("says why the gateway here asks a host nothing, where its certificate is the reason", async () => {
    const { phantom } = apart(RELEASE, "its certificate has expired");
    const { view, text } = await shown(phantom);
    const fix = ["./bin/shelter", "pair", "shadow", "--renew"];
    expect(view).toMatchObject({ state: "up", troubles: [{ fix }] });
    expect(text).toContain("the gateway here asks it nothing: its certificate has expired");
    expect((await shown(apart(RELEASE, "unreachable").phantom)).view.troubles).toEqual([]);
  });

  test("names a clock that is off with the command to look at it", async () => {
    const { text } = await shown(apart(RELEASE, undefined, HOUR).phantom);
    expect(text).toContain("ahead of this host's\n    timedatectl status\n");
  });

  test("a certificate from the future is renewed only once the clocks agree", async () => {
    const why = "its certificate is not valid yet: a clock is wrong";
    const ahead = await shown(apart(RELEASE, why, HOUR).phantom);
    expect(ahead.view.troubles).toMatchObject([{ fix: ["timedatectl", "status"] }]);
    expect(ahead.text).toContain("ahead of this host's");
    const agree = await shown(apart(RELEASE, why).phantom);
    expect(agree.view.troubles?.[0]?.fix).toContain("--renew");
  });
});

test("00_check_structure: programs go there by hand, or by the mirror where some were built for it", async () => {
  const { phantom } = apart(OLDER);
  const fix = async () => {
    const { findings } = await runOn(phantom, structure, { host: "phantom" });
    return findings.find((one) => one.id === "parity-programs.shadow")?.fix;
  };
  expect(await fix()).toEqual(BRING);
  phantom.write(`${FAKE_HOME}/bin/hosts/shadow/shelter`, "program");
  expect(await fix()).toEqual(["./bin/05_rsync_mirror", "--plan"]);
});

describe("the mirror", () => {
  test.each([
    [WIRE - 1, "its programs are of an older release", BRING],
    [WIRE + 1, "this host's programs are of an older release", UPDATE],
    [undefined, "one of the two is of an older release", BRING],
    ["\u001b[2J", "one of the two is of an older release", BRING],
  ])("in form %p says whose programs are older", (schema, why, fix) => {
    const text = JSON.stringify({ schema });
    expect(() => parseState(text, "shadow", BRING)).toThrow(
      expect.objectContaining({
        id: "mirror-other-release",
        why: expect.stringContaining(why) as string,
        fix,
      }),
    );
  });

  test("of a release that knows none names the command that brings the programs", () => {
    const stderr = "a request of a paired host: mirror may not ask for state";
    const ran = { code: 11, stdout: "", stderr, timedOut: false };
    expect(mirrorFailure(TRUST, "mirroring", ran)).toMatchObject({ id: "peer-older", fix: BRING });
  });
});
