/** A model on its way into this host: whether there is room, one writer at a time, read once, and what a kill leaves. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { inHome } from "../../lib/keep/home.ts";
import type { Act } from "../../lib/machine/act.ts";
import type { Probe } from "../../lib/machine/probe.ts";
import { planModels } from "../../lib/mirror/models.ts";
import { MODELS_AT_ONCE, SPARE } from "../../lib/mirror/places.ts";
import { answerMirror } from "../../lib/mirror/receive/serve.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import {
  certificateOf,
  commitOf,
  mirrorMachine,
  PEER_HOME,
  PEER_ROOT,
  peerContext,
  trustOf,
} from "../support/mirror_world.ts";

const certificate = certificateOf("shadow");
const keep = keptForEachTest();
const hashOf = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");
const world = (more = {}) => keep(fakeMachine(mirrorMachine(certificate, { more })));
const MODELS = join(PEER_HOME, "runtime/mirror/testhost/models");
const CONTENT = "0123456789";
const HASH = hashOf(CONTENT);

interface Asked {
  readonly bytes?: AsyncIterable<Uint8Array>;
  readonly input?: string;
  readonly probe?: Partial<Probe>;
  readonly act?: Partial<Act>;
}

/** Asks the peer; gives what it said, or what it was refused with. */
async function ask(at: FakeWorld, words: readonly string[], asked: Asked = {}): Promise<string> {
  const context = peerContext(at);
  let said = "";
  try {
    await answerMirror({
      context: {
        ...context,
        probe: { ...context.probe, ...asked.probe },
        act: { ...context.act, ...asked.act },
      },
      trust: trustOf("testhost", ""),
      words,
      input: () => Promise.resolve(asked.input ?? ""),
      bytes: () => asked.bytes ?? stream(""),
      print: (text) => void (said += text),
    });
    return said;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function* stream(text: string): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from(text));
}

/** A stream that waits for `go` before its bytes come, and tells when it was asked for them. */
function held(text: string) {
  const go = Promise.withResolvers<undefined>();
  const begun = Promise.withResolvers<undefined>();
  async function* bytes(): AsyncGenerator<Uint8Array> {
    begun.resolve(undefined);
    await go.promise;
    yield Buffer.from(text);
  }
  return { bytes: bytes(), begun: begun.promise, go: () => go.resolve(undefined) };
}

const model = (hash: string, most: number, from = 0) => ["model", hash, `${most}`, `${from}`];
const free = (bytes: number): Partial<Probe> => ({
  space: () => ({ free: bytes, total: 1e12, inodesFree: 1e6, inodes: 1e6, readOnly: false }),
});
const commit = (hash: string, bytes: number, names: readonly string[] = []) =>
  JSON.stringify({ ...commitOf("00000001", []), models: [{ sha256: hash, bytes, names }] });

test("a model for which there is no room is refused before a byte of it is taken; one that is all there needs none", async () => {
  const at = world();
  const tight = free(SPARE.model + 9);
  const bytes = stream(CONTENT);
  expect(await ask(at, model(HASH, 10), { probe: tight, bytes })).toContain("the disk is full");
  expect(at.exists(MODELS)).toBe(false);
  // what came before needs no room again
  at.write(join(MODELS, HASH), "0123");
  const rest = stream(CONTENT.slice(4));
  expect(await ask(at, model(HASH, 10, 4), { probe: tight, bytes: rest })).toContain('"bytes":10');
  expect(await ask(at, model(HASH, 10, 10), { probe: free(0) })).toContain('"bytes":10');
});

test("of two that come at the same moment the second finds the room that the first left, and waits for it", async () => {
  const at = world();
  const other = hashOf("another");
  const [one, two] = [held("012345"), held("654321")];
  const room: Partial<Probe> = {
    space: () => {
      const taken = at.exists(join(MODELS, HASH)) ? at.read(join(MODELS, HASH)).length : 0;
      return free(SPARE.model + 10 - taken).space?.("/");
    },
  };
  const first = ask(at, model(HASH, 6), { probe: room, bytes: one.bytes });
  await one.begun;
  two.go();
  let asked = false;
  void two.begun.then(() => void (asked = true));
  const second = ask(at, model(other, 6), { probe: room, bytes: two.bytes });
  await Bun.sleep(100);
  expect(asked).toBe(false);
  one.go();
  expect(await first).toContain('"bytes":6');
  expect(await second).toContain("the disk is full");
  expect(at.exists(join(MODELS, other))).toBe(false);
});

test("a commit waits for a model that is still coming", async () => {
  const at = world();
  const coming = held(CONTENT);
  const taken = ask(at, model(HASH, 10), { bytes: coming.bytes });
  await coming.begun;
  const committed = ask(at, ["commit"], { input: commit(HASH, 10) });
  await Bun.sleep(100);
  coming.go();
  expect(await taken).toContain('"bytes":10');
  expect(await committed).toContain('"done":true');
  expect(at.read(join(PEER_HOME, "models/sha256", HASH))).toBe(CONTENT);
});

test("more models than may wait for a commit are refused, and no more are sent for one", async () => {
  const at = world();
  for (let n = 0; n < MODELS_AT_ONCE; n++) at.write(join(MODELS, hashOf(`${n}`)), "");
  expect(await ask(at, model(HASH, 10), { bytes: stream(CONTENT) })).toContain("64 models");
  expect(at.exists(join(MODELS, HASH))).toBe(false);
  const bytes = stream("0");
  expect(await ask(at, model(hashOf("0"), 1), { bytes })).toContain('"bytes":1');
  const own = Array.from({ length: MODELS_AT_ONCE + 1 }, (_, n) => ({
    ...{ sha256: hashOf(`${n}`), bytes: 1, proven: true, names: [] },
    ...{ damaged: false, suspect: false },
  }));
  const { send, agreed } = planModels(
    own,
    [],
    { models: [], missing: [], arriving: [], free: 1e12 },
    { mine: {}, theirs: {} },
    new Set(),
    0,
  );
  expect(send).toHaveLength(MODELS_AT_ONCE);
  // the one that waits for its turn is no agreement yet: else it would count as taken away there
  expect(Object.keys(agreed)).toHaveLength(MODELS_AT_ONCE);
});

test("a model is named by its hash, and its sizes are numbers: nothing else is a path or a place", async () => {
  const at = world();
  const before = at.picture(PEER_ROOT);
  for (const words of [
    model("../../../../shared.cfg", 10),
    model(HASH.toUpperCase(), 10),
    model("", 10),
    model(`${HASH}/..`, 10),
    ["model", HASH, "1e3", "0"],
    ["model", HASH, "10", "-1"],
    ["model", HASH, "9".repeat(16), "0"],
    ["model", HASH],
  ]) {
    expect(await ask(at, words, { bytes: stream(CONTENT) })).toMatch(/hash|no size/);
  }
  expect(at.picture(PEER_ROOT)).toEqual(before);
});

test("what was hashed as it came is not read again before it goes live, unless it changed since", async () => {
  for (const changed of [false, true]) {
    const at = world();
    await ask(at, model(HASH, 10), { bytes: stream(CONTENT) });
    if (changed) at.write(join(MODELS, HASH), "9876543210");
    const read: string[] = [];
    const { probe } = peerContext(at);
    const sha256: Probe["sha256"] = (path, ...rest) => {
      read.push(path);
      return probe.sha256(path, ...rest);
    };
    const said = await ask(at, ["commit"], { input: commit(HASH, 10), probe: { sha256 } });
    const arriving = inHome.mirror(FAKE_HOME, "testhost", "models", HASH);
    expect(read.includes(arriving)).toBe(changed);
    expect(said).toContain(changed ? `"models":["${HASH}"]` : '"done":true');
    expect(at.exists(join(PEER_HOME, "models/sha256", HASH))).toBe(!changed);
  }
});

test("no model gets its place before the disk has it", async () => {
  const at = world({ programs: { sync: () => ({ code: 1, stderr: "I/O error" }) } });
  await ask(at, model(HASH, 10), { bytes: stream(CONTENT) });
  expect(await ask(at, ["commit"], { input: commit(HASH, 10, ["small"]) })).toContain("I/O");
  expect(at.exists(join(PEER_HOME, "models/sha256", HASH))).toBe(false);
  expect(at.exists(join(PEER_HOME, "models/small.gguf"))).toBe(false);
});

test("killed at the moment in which a model gets its place, it has its names or calls for the model again", async () => {
  for (const amid of ["before", "after"]) {
    const at = world();
    await ask(at, model(HASH, 10), { bytes: stream(CONTENT) });
    const { act } = peerContext(at);
    const replaceWith: Act["replaceWith"] = (path, from) => {
      if (amid === "after") act.replaceWith(path, from);
      throw new Error("killed");
    };
    const input = commit(HASH, 10, ["small"]);
    expect(await ask(at, ["commit"], { input, act: { replaceWith } })).toBe("killed");
    const state = JSON.parse(await ask(at, ["state"])) as {
      readonly missing: readonly string[];
      readonly models: readonly { readonly sha256: string }[];
      readonly arriving: readonly object[];
    };
    const there = amid === "after";
    expect(state.models.map((one) => one.sha256)).toEqual(there ? [HASH] : []);
    expect(state.missing).toEqual(there ? [] : [HASH]);
    expect(state.arriving).toEqual(there ? [] : [{ sha256: HASH, bytes: 10 }]);
    expect(at.exists(join(PEER_HOME, "models/small.gguf"))).toBe(true);
  }
});

const GB = 1024 ** 3;
/** Names of the models that a peer with so much room gets, and of those that stay behind. */
function planned(
  sizes: Readonly<Record<string, number>>,
  peer: { readonly free: number; readonly came?: number; readonly files?: number },
) {
  const own = Object.entries(sizes).map(([name, bytes]) => ({
    ...{ sha256: name === "large" ? HASH : hashOf(name), bytes, names: [name] },
    ...{ proven: true, damaged: false, suspect: false },
  }));
  const { send, left, agreed } = planModels(
    own,
    [],
    {
      ...{ models: [], missing: [], free: peer.free },
      arriving: peer.came === undefined ? [] : [{ sha256: HASH, bytes: peer.came }],
    },
    { mine: {}, theirs: {} },
    new Set(),
    peer.files ?? 0,
  );
  expect(Object.keys(agreed)).toHaveLength(send.length);
  const names = (of: readonly { readonly names: readonly string[] }[]) => of.map((m) => m.names[0]);
  return { send: names(send), left: names(left) };
}

test("what came of a model in an earlier try takes no room a second time", () => {
  const goes = { send: ["large"], left: [] };
  const stays = { send: [], left: ["large"] };
  const large = { large: 40 * GB };
  expect(planned(large, { came: 39 * GB, free: 2 * GB })).toEqual(goes);
  expect(planned(large, { came: 0, free: 2 * GB })).toEqual(stays);
  // the peer keeps as much free as its own look before it takes one asks for
  expect(planned(large, { came: 39 * GB, free: 2 * GB - 1 })).toEqual(stays);
  expect(planned(large, { came: 40 * GB, free: 0 })).toEqual(goes);
  // more than there is: it begins anew
  expect(planned(large, { came: 41 * GB, free: 40 * GB })).toEqual(stays);
  expect(planned(large, { came: 41 * GB, free: 41 * GB })).toEqual(goes);
});

test("a model that finds no room holds up no other: the files come first, then those that need least", () => {
  const sizes = { large: 40 * GB, middle: 5 * GB, small: GB };
  expect(planned(sizes, { free: 12 * GB })).toEqual({ send: ["middle", "small"], left: ["large"] });
  expect(planned(sizes, { free: 7 * GB, files: 1 })).toEqual({
    send: ["small"],
    left: ["large", "middle"].toReversed(),
  });
  expect(planned(sizes, { free: 47 * GB }).left).toEqual([]);
});
