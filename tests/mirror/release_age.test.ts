/** An older release, however well signed, does not come back by the peer's doing; the operators of both hosts can still go back. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { backText } from "../../lib/mirror/back_word.ts";
import { digestOf } from "../../lib/mirror/held.ts";
import { markPlace, markText, readMark } from "../../lib/mirror/receive/mark.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { isOlder, type Made, madeOf } from "../../lib/orchestra/made.ts";
import { NAMES } from "../../lib/orchestra/names.ts";
import { goBack } from "../../lib/orchestra/releases.ts";
import type { RunReport } from "../../lib/unit.ts";
import { unit } from "../../scripts/05_rsync_mirror.ts";
import { FAKE_HOME, type FakeFile, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { testUnless } from "../support/left_out.ts";
import { hashOf, madeOn, newKey, programMade, programs } from "../support/mirror_programs.ts";
import {
  askPeer,
  commitOf,
  certificateOf,
  mirrorMachine,
  peerContext,
  PEER_HOME,
  trustOf,
} from "../support/mirror_world.ts";
import { runOn } from "../support/run.ts";
import { keptForEachTest } from "../support/kept.ts";

const certificate = certificateOf("shadow");
const keep = keptForEachTest();
const KEY = "bin/hosts/shadow";
const [OLD, NEW] = [programMade(madeOn(3)), programMade(madeOn(9))];
const needsKeygen = testUnless(
  Bun.which("ssh-keygen") === null ? "there is no ssh-keygen" : undefined,
);

/** Ours has `built` for the peer, where `live` runs. */
function world(built: string, live: string, signer = newKey()) {
  const options = mirrorMachine(certificate, {
    mine: {
      "runtime/identity/signing": { text: signer.secret, mode: 0o600 },
      "runtime/identity/signing.pub": signer.text,
      ...programs(KEY, built),
    },
    theirs: programs("bin", live),
    signing: signer.known,
  });
  return keep(fakeMachine(options));
}

function build(at: FakeWorld, text: string): void {
  for (const [path, file] of Object.entries(programs(KEY, text)))
    at.write(join(FAKE_HOME, path), file);
}

const take = (at: FakeWorld) => runOn(at, unit, { want: { yes: true, take: "mine", path: KEY } });
const live = (at: FakeWorld) => at.read(join(PEER_HOME, "bin/05_rsync_mirror"));
const whats = (report: RunReport) => report.findings.map((one) => one.what).join("\n");
const theirs = (at: FakeWorld) =>
  createProbe({ ...at.machine, root: at.path("/peer") }, FAKE_HOME, "shadow");
const markOf = (at: FakeWorld) => readMark(theirs(at), "testhost");

needsKeygen(
  "an older release is held back, said in --plan with both versions, and stays held back with --take mine",
  async () => {
    const at = world(NEW, programMade(madeOn(5)));
    expect((await take(at)).outcome).toBe("changed");
    expect(live(at)).toBe(NEW);
    expect(markOf(at)).toEqual({ newest: madeOn(9), allowed: null, damaged: false });
    build(at, OLD);
    const plan = await runOn(at, unit, { mode: "plan" });
    expect(whats(plan)).toContain("they are older (0.1.0 of 2026-01-03T00:00:00Z (");
    expect(whats(plan)).toContain("than what shadow has had (0.1.0 of 2026-01-09T00:00:00Z (");
    expect(JSON.stringify(plan.steps)).not.toContain("release={");
    for (const report of [await runOn(at, unit), await take(at)]) {
      expect(whats(report)).toContain("are held back");
      expect(live(at)).toBe(NEW);
    }
    expect((await runOn(at, unit)).outcome).toBe("converged");
  },
);

needsKeygen(
  "newer programs of the peer's own making count too: nothing older goes there",
  async () => {
    const at = world(OLD, NEW);
    expect(whats(await take(at))).toContain("are held back");
    expect(live(at)).toBe(NEW);
  },
);

needsKeygen(
  "what does not say its age is the oldest: it goes where nothing newer was, and nowhere else",
  async () => {
    const at = world("from before", "from long before");
    expect((await take(at)).outcome).toBe("changed");
    expect(live(at)).toBe("from before");
    build(at, OLD);
    expect((await runOn(at, unit)).outcome).toBe("changed");
    expect(live(at)).toBe(OLD);
    build(at, "from before");
    expect(whats(await runOn(at, unit))).toContain("(one that does not say its age)");
    expect(live(at)).toBe(OLD);
  },
);

/** A generation as a sender that keeps to no rule of ours would send it: the files laid out, and the question asked. */
async function force(at: FakeWorld, files: Readonly<Record<string, FakeFile>>, was: string) {
  const state = JSON.parse((await askPeer(at, ["state"])).stdout) as { next: string };
  const listed = ["shelter", "SHA256SUMS", "SHA256SUMS.sig"].map((name) => {
    const file = files[`${KEY}/${name}`] ?? "";
    const content = typeof file === "string" ? file : "text" in file ? (file.text ?? "") : "";
    const path = join(at.path(PEER_HOME), `runtime/mirror/testhost/${state.next}.partial`, KEY);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, name), content);
    return { path: `${KEY}/${name}`, bytes: Buffer.byteLength(content), sha256: hashOf(content) };
  });
  const request = commitOf(state.next, listed, { was: hashOf(was) });
  const ran = await askPeer(at, ["commit"], JSON.stringify(request), trusted(at));
  return { ran, generation: state.next, digest: digestOf(JSON.stringify(request.manifest)) };
}

/** How the peer knows us. */
function trusted(at: FakeWorld) {
  const known = at.read(join(FAKE_HOME, "runtime/identity/signing.pub")).split(" ");
  const trust = trustOf("testhost", certificate);
  return { ...trust, keys: { ...trust.keys, signing: known.slice(0, 2).join(" ") } };
}

/** A text with the signature that our key gives it. */
function signed(at: FakeWorld, text: string): string {
  const key = at.path(join(FAKE_HOME, "runtime/identity/signing"));
  const ran = Bun.spawnSync(
    ["ssh-keygen", "-q", "-Y", "sign", "-n", "mountain-shelter", "-f", key],
    { stdin: Buffer.from(text) },
  );
  return ran.stdout.toString();
}

/** Programs with the signature of our key. */
function release(at: FakeWorld, text: string): Readonly<Record<string, FakeFile>> {
  const files = programs(KEY, text);
  const sums = files[`${KEY}/SHA256SUMS`];
  if (typeof sums !== "string") throw new Error("programs without their list of hashes");
  return { ...files, [`${KEY}/SHA256SUMS.sig`]: signed(at, sums) };
}

needsKeygen(
  "a validly signed older release that is sent all the same is refused, and the line says how its operator may allow it",
  async () => {
    const at = world(NEW, programMade(madeOn(5)));
    await take(at);
    const { ran } = await force(at, release(at, OLD), NEW);
    expect(ran.code).toBe(0);
    const reply = JSON.parse(ran.stdout) as { done: boolean; older: boolean; programs: string };
    expect(reply).toMatchObject({ done: true, older: true });
    expect(reply.programs).toContain("they are older (0.1.0 of 2026-01-03T00:00:00Z (");
    expect(reply.programs).toContain("--take theirs bin/hosts/shadow");
    expect(live(at)).toBe(NEW);
  },
);

needsKeygen(
  "where the receiving host's operator went back, nothing older than what the peer had brought follows by itself",
  async () => {
    const at = world(NEW, programMade(madeOn(5)));
    await take(at);
    await goBack(peerContext(at));
    expect(live(at)).toBe(programMade(madeOn(5)));
    const between = await force(at, release(at, programMade(madeOn(7))), programMade(madeOn(5)));
    expect(between.ran.stdout).toContain("than what shadow has had (0.1.0 of 2026-01-09T00:00:00Z");
    expect(live(at)).toBe(programMade(madeOn(5)));
  },
);

needsKeygen(
  "what the peer's own operator put live stays, and is no reason to send for ever",
  async () => {
    const at = world(NEW, programMade(madeOn(5)));
    await take(at);
    await goBack(peerContext(at));
    expect((await runOn(at, unit)).outcome).toBe("changed");
    expect((await runOn(at, unit)).outcome).toBe("converged");
    expect(live(at)).toBe(programMade(madeOn(5)));
  },
);

needsKeygen("a damaged note of what came lets nothing in", async () => {
  const at = world(NEW, programMade(madeOn(5)));
  await take(at);
  at.write(join(PEER_HOME, "runtime/mirror/shadow/testhost.programs.json"), '{"schema":1,"newest"');
  const { ran } = await force(at, release(at, programMade(madeOn(10))), NEW);
  expect(ran.stdout).toContain("is damaged on shadow");
  await force(at, release(at, NEW), NEW); // what is live already mends nothing
  expect(markOf(at).damaged).toBe(true);
  expect(live(at)).toBe(NEW);
});

needsKeygen(
  "a damaged note of what came holds back the programs and nothing else, and says so",
  async () => {
    const at = world(OLD, programMade(madeOn(1)));
    await take(at);
    build(at, NEW);
    at.write(join(FAKE_HOME, "agents/a.md"), "a new agent");
    at.write(markPlace(PEER_HOME, "shadow", "testhost"), '{"schema":1,"newest"');
    const report = await runOn(at, unit);
    expect({ outcome: report.outcome, error: report.error }).toEqual({
      outcome: "changed",
      error: undefined,
    });
    expect(at.read(join(PEER_HOME, "agents/a.md"))).toBe("a new agent");
    expect(live(at)).toBe(OLD);
    expect(report.findings).toContainEqual(
      expect.objectContaining({
        id: "release-closed-shadow",
        level: "warn",
        what: expect.stringContaining("note of how new they were is damaged there"),
        why: expect.stringContaining("--take theirs bin/hosts/shadow"),
      }),
    );
    expect((await runOn(at, unit)).outcome).toBe("converged");
    await take(at); // the sender's wish is no leave
    expect([live(at), markOf(at).damaged]).toEqual([OLD, true]);
    // what the receiving host's operator allows goes
    const place = markPlace(PEER_HOME, "shadow", "testhost");
    at.write(place, { text: markText(undefined, hashOf(NEW)), mode: 0o600 });
    expect((await runOn(at, unit)).outcome).toBe("changed");
    expect(live(at)).toBe(NEW);
  },
);

needsKeygen(
  "--undo of the sending host brings the programs from before back, and what was remembered; the mirror key alone does not",
  async () => {
    const before = programMade(madeOn(5));
    const at = world(NEW, before);
    await take(at);
    const back = await askPeer(at, ["back", "00000001"], "", trusted(at));
    expect(back.stdout).toContain("testhost did not sign that they are to come back");
    expect(live(at)).toBe(NEW);

    const other = world(NEW, before);
    await take(other);
    const undone = await runOn(other, unit, { mode: "undo" });
    expect({ outcome: undone.outcome, left: undone.left ?? [] }).toEqual({
      outcome: "changed",
      left: [],
    });
    expect(live(other)).toBe(before);
    expect(markOf(other)).toEqual({ allowed: null, damaged: false });
    expect(other.exists(join(PEER_HOME, "runtime/mirror/shadow/testhost.programs.json"))).toBe(
      false,
    );
    expect((await take(other)).outcome).toBe("changed");
    expect(live(other)).toBe(NEW);
  },
);

needsKeygen(
  "what the receiving host's operator allowed goes there once, and nothing else does",
  async () => {
    const at = world(NEW, programMade(madeOn(5)));
    await take(at);
    const place = markPlace(PEER_HOME, "shadow", "testhost");
    at.write(place, { text: markText(madeOn(9), hashOf(OLD)), mode: 0o600 });
    build(at, programMade(madeOn(4)));
    await runOn(at, unit);
    expect(live(at)).toBe(NEW);
    build(at, OLD);
    expect((await runOn(at, unit)).outcome).toBe("changed");
    expect(live(at)).toBe(OLD);
    expect(markOf(at)).toEqual({ newest: madeOn(3), allowed: null, damaged: false });
    build(at, programMade(madeOn(2)));
    expect(whats(await runOn(at, unit))).toContain("are held back");
  },
);

test("--take theirs of the programs allows just those that the peer has now, and --undo takes it back", async () => {
  const at = keep(
    fakeMachine(
      mirrorMachine(certificate, {
        mine: programs("bin", NEW),
        theirs: programs("bin/hosts/testhost", OLD),
      }),
    ),
  );
  const place = markPlace(FAKE_HOME, "testhost", "shadow");
  const want = { yes: true, take: "theirs", path: "bin/hosts/testhost" };
  const report = await runOn(at, unit, { want });
  expect(report.outcome).toBe("changed");
  expect(whats(report)).toContain("go live here with shadow's next run");
  expect(at.read(place)).toBe(markText(undefined, hashOf(OLD)));
  expect(createProbe(at.machine, FAKE_HOME, "testhost").stat(place)?.mode).toBe(0o600);
  await runOn(at, unit, { mode: "undo" });
  expect(at.exists(place)).toBe(false);
  for (const [path, file] of Object.entries(programs("bin", OLD)))
    at.write(join(FAKE_HOME, path), file);
  await runOn(at, unit, { want }); // what runs here already needs no leave
  expect(at.exists(place)).toBe(false);
});

type Deed =
  | { readonly do: "offer"; readonly day: number }
  | { readonly do: "back"; readonly meant: boolean }
  | { readonly do: "allow"; readonly day: number };

const anyDay = fc.integer({ min: 0, max: 5 });
const anyDeed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 4, arbitrary: anyDay.map((day) => ({ do: "offer" as const, day })) },
  { weight: 2, arbitrary: fc.boolean().map((meant) => ({ do: "back" as const, meant })) },
  { weight: 1, arbitrary: anyDay.map((day) => ({ do: "allow" as const, day })) },
);

/** The program of a day; that of day 0 does not say its age. */
const programOn = (day: number) => (day === 0 ? "a program of old" : programMade(madeOn(day)));

needsKeygen(
  "whatever is offered and taken back in whatever order, what is live goes down only where an operator said so",
  async () => {
    const signer = newKey();
    await fc.assert(
      fc.asyncProperty(fc.array(anyDeed, { maxLength: 10 }), async (deeds) => {
        const at = world("unused", programOn(2), signer);
        const probe = theirs(at);
        const age = (): Made | undefined => madeOf(probe, join(FAKE_HOME, "bin/shelter"));
        const sent: { readonly generation: string; readonly digest: string }[] = [];
        let allowed: string | undefined;
        for (const deed of deeds) {
          const before = age();
          let meant = false;
          if (deed.do === "allow") {
            allowed = programOn(deed.day);
            const { newest } = markOf(at);
            const text = markText(newest, hashOf(allowed));
            at.write(markPlace(PEER_HOME, "shadow", "testhost"), { text, mode: 0o600 });
          } else if (deed.do === "offer") {
            const now = live(at) ?? "";
            const { ran, ...one } = await force(at, release(at, programOn(deed.day)), now);
            expect({ code: ran.code, said: ran.stderr }).toEqual({ code: 0, said: "" });
            sent.push(one);
            meant = programOn(deed.day) === allowed;
            if (live(at) === allowed) allowed = undefined;
          } else {
            const last = sent.pop();
            if (!last) continue;
            meant = deed.meant;
            const word = meant ? signed(at, backText("testhost", "shadow", last.digest)) : "";
            await askPeer(at, ["back", last.generation], word, trusted(at));
          }
          if (!meant) expect(isOlder(age(), before)).toBe(false);
          const names = new Set(NAMES.map((name) => at.read(join(PEER_HOME, "bin", name))));
          expect(names.size).toBe(1);
        }
      }),
      { numRuns: 15 },
    );
  },
  120_000,
);
