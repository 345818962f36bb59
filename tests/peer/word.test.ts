/** A host's word: true from a good host, and harmless from any other. */
import fc from "fast-check";
import { expect, test } from "bun:test";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { runOnPeer } from "../../lib/peer/call.ts";
import { answerPeer } from "../../lib/peer/serve.ts";
import { askHost } from "../../lib/peer/ask.ts";
import { lastContact, noteContact } from "../../lib/peer/contact.ts";
import { collectWord } from "../../lib/peer/word.ts";
import { parseWord, WORD_LIMIT } from "../../lib/peer/word_parse.ts";
import { readTrust } from "../../lib/trust/store.ts";
import { unit as scaffold } from "../../scripts/02_scaffold_dirs.ts";
import { FAKE_HOME, type FakeMachineOptions, type FakeWorld } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";
import { twoWorlds } from "../support/two_worlds.ts";

const keep = keptForEachTest();
function worlds(phantom: FakeMachineOptions = {}, shadow: FakeMachineOptions = {}) {
  return keep(twoWorlds(phantom, shadow));
}
const eyes = (world: FakeWorld, host: string) => {
  const probe = createProbe(world.machine, FAKE_HOME, host);
  return { probe, act: createAct(world.machine, probe) };
};
async function ask(world: FakeWorld) {
  const { probe, act } = eyes(world, "phantom");
  const trust = readTrust(probe, "shadow");
  if (!trust) throw new Error("not paired");
  const asked = await askHost(probe, act, trust);
  if (asked.answered) noteContact(probe, act, asked.word);
  return { asked, probe };
}

test("what a host says arrives as it said it, over the witness key, and the contact is noted", async () => {
  const { phantom, shadow } = worlds({}, { now: () => Date.now() + 3_600_000 });
  await runOn(shadow, scaffold, { host: "shadow" });
  shadow.write(`${FAKE_HOME}/agents/one.yaml`, "a: 1\n");
  const { asked, probe } = await ask(phantom);
  if (!asked.answered) throw new Error(asked.failure.why);
  const own = await collectWord(
    ...(Object.values(eyes(shadow, "shadow")) as Parameters<typeof collectWord>),
  );
  expect({ ...asked.word, at: "" }).toEqual({ ...own, at: "" });
  expect(asked.word.scripts.find((row) => row.script === "02_scaffold_dirs")?.standing).toBe(
    "done",
  );
  expect(Object.keys(asked.word.holds.files)).toEqual(["agents/one.yaml"]);
  expect(Math.round(asked.clockOff / 60_000)).toBe(60);
  expect(phantom.started[0]?.join(" ")).toContain("/identity/witness ");
  expect(lastContact(probe, "shadow")?.word).toEqual(asked.word);
});

test("a later run on that host counts as a contact, and a pairing that is taken back leaves none", async () => {
  let time = Date.parse("2026-02-01T10:00:00.000Z");
  const { phantom, shadow } = worlds({ now: () => time });
  const { probe } = await ask(phantom);
  time += 60_000;
  await runOnPeer(
    {
      ...{ machine: phantom.machine, home: FAKE_HOME, host: "phantom", peer: "shadow" },
      ...{ script: "00_check_structure", argv: [] },
    },
    { out: () => undefined, err: () => undefined },
    new AbortController().signal,
  );
  expect(lastContact(probe, "shadow")?.at).toBe("2026-02-01T10:01:00.000Z");
  const there = eyes(shadow, "shadow");
  noteContact(there.probe, there.act, {
    ...(await collectWord(probe, there.act)),
    host: "phantom",
  });
  expect(lastContact(there.probe, "phantom")).toBeDefined();
  const nothing = () => Promise.reject(new Error("not for this request"));
  const code = await answerPeer({
    ...{ machine: shadow.machine, place: { home: FAKE_HOME, host: "shadow" } },
    ...{ words: ["forget", "phantom"], original: undefined, connection: undefined },
    bytes: () => {
      throw new Error("not for this request");
    },
    ...{ input: nothing, opening: nothing, send: nothing, runScript: nothing },
    ...{ print: () => undefined, remark: () => undefined, interrupt: () => undefined },
  });
  expect([code, lastContact(there.probe, "phantom")]).toEqual([0, undefined]);
});

test("one that does not answer, answers nonsense, or speaks for another is a fact, not an error", async () => {
  const says = async (ran: { code?: number; stdout?: string; stderr?: string }) =>
    (await ask(worlds({ programs: { ssh: () => ran } }).phantom)).asked;
  const failed = async (ran: Parameters<typeof says>[0]) => {
    const asked = await says(ran);
    return asked.answered ? "answered" : asked.failure.id;
  };
  expect(await failed({ code: 255, stderr: "No route to host" })).toBe("peer-unreachable");
  expect(await failed({ code: 255, stderr: "Host key verification failed." })).toBe(
    "host-key-changed",
  );
  expect(await failed({ code: 11, stderr: "phantom is not paired with this host" })).toBe(
    "peer-refused",
  );
  const older = "✗ a request of a paired host: witness may not ask for status\n";
  expect(await failed({ code: 11, stderr: older })).toBe("peer-other-release");
  expect(await failed({ stdout: "{}" })).toBe("peer-other-release");
  expect(await failed({ stdout: "x".repeat(WORD_LIMIT * 2) })).toBe("peer-other-release");
});

test("only its form is believed: whatever is sent, it is read or it is none", async () => {
  const { shadow } = worlds();
  const { probe, act } = eyes(shadow, "shadow");
  const good = JSON.parse(JSON.stringify(await collectWord(probe, act))) as Record<string, unknown>;
  expect(parseWord(JSON.stringify(good), "shadow")).toBeDefined();
  expect(parseWord(JSON.stringify(good), "phantom")).toBeUndefined();
  const keys = Object.keys(good);
  fc.assert(
    fc.property(
      fc.constantFrom(...keys, "holds.models", "holds.engine"),
      fc.json(),
      (key, value) => {
        const [top = "", below] = key.split(".");
        const changed = structuredClone(good);
        const inside = changed[top] as Record<string, unknown>;
        if (below === undefined) changed[top] = JSON.parse(value);
        else inside[below] = JSON.parse(value);
        const word = parseWord(JSON.stringify(changed), "shadow");
        if (word) {
          expect(word.host).toBe("shadow");
          expect(Number.isNaN(Date.parse(word.at))).toBe(false);
          for (const one of Object.values(word.holds.models))
            expect(one.sha256).toMatch(/^[0-9a-f]{64}$/);
        }
      },
    ),
  );
  fc.assert(fc.property(fc.string(), (text) => expect(parseWord(text, "shadow")).toBeUndefined()));
});

test("the operator's and the witness key each open their own verbs alone", async () => {
  const { phantom } = worlds();
  const { probe, act } = eyes(phantom, "phantom");
  const trust = readTrust(probe, "shadow");
  if (!trust) throw new Error("not paired");
  const { sayToPeer } = await import("../../lib/peer/channel.ts");
  for (const [role, words] of [
    ["witness", ["carry-out"]],
    ["witness", ["model", "a".repeat(64)]],
    ["operator", ["status"]],
    ["mirror", ["status"]],
    ["mirror", ["carry-out"]],
    ["operator", ["model", "../../etc/passwd"]],
    ["operator", ["model", "a".repeat(64)]],
  ] as const) {
    const ran = await sayToPeer(act, FAKE_HOME, trust, role, [...words]);
    expect([role, words, ran.code]).toEqual([role, words, 11]);
  }
});
