/** What a mirror's runs do with models, on two homes of one fake machine. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { createProbe } from "../../lib/machine/probe.ts";
import { SPARE } from "../../lib/mirror/places.ts";
import type { RunReport } from "../../lib/unit.ts";
import { unit } from "../../scripts/05_rsync_mirror.ts";
import { FAKE_HOME, type FakeFile, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import {
  askPeer,
  certificateOf,
  mirrorMachine,
  type OnRequest,
  PEER_HOME,
  type TwoHomes,
} from "../support/mirror_world.ts";
import { runOn } from "../support/run.ts";
import { keptForEachTest } from "../support/kept.ts";

const certificate = certificateOf("shadow");
const keep = keptForEachTest();
const world = (homes: TwoHomes) => keep(fakeMachine(mirrorMachine(certificate, homes)));
const hashOf = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");
const there = (path: string) => join(PEER_HOME, path);
const here = (path: string) => join(FAKE_HOME, path);
const LOG = "logs/memory/testhost/00_check_structure/20260101-0000.log";
const mine: Readonly<Record<string, FakeFile>> = {
  "status/testhost/structure_ok.json": { text: '{"schema":1}\n', mode: 0o600 },
  [LOG]: { text: '{"a":1}\n{"b":2}\n', mode: 0o600 },
};

async function good(at: FakeWorld, want = {}): Promise<RunReport> {
  const report = await runOn(at, unit, { want: { yes: true, ...want } });
  const { outcome, error, left } = report;
  expect({ outcome, error, left }).toEqual({
    outcome: outcome === "converged" ? "converged" : "changed",
    error: undefined,
    left: undefined,
  });
  return report;
}

test("a model that arrives damaged never gets its name", async () => {
  const hash = hashOf("a model");
  const onRequest: OnRequest = (words, at) => {
    const arriving = there(`runtime/mirror/testhost/models/${hash}`);
    if (words[0] === "commit" && at.exists(arriving)) at.write(arriving, "b model");
    return undefined;
  };
  const at = world({ mine: { ...mine, [`models/sha256/${hash}`]: "a model" }, onRequest });
  expect((await runOn(at, unit)).outcome).toBe("corrupt");
  expect(at.exists(there(`models/sha256/${hash}`))).toBe(false);
});

test("models: sent once, not brought back where they were taken away, brought back where a name still wants them", async () => {
  const hash = hashOf("a model");
  const at = world({
    mine: {
      ...mine,
      [`models/sha256/${hash}`]: "a model",
      "models/small.gguf": { link: `sha256/${hash}` },
    },
  });
  await good(at);
  expect(at.read(there("models/small.gguf"))).toBe("a model");
  expect((await good(at)).outcome).toBe("converged");
  at.remove(there(`models/sha256/${hash}`));
  await good(at);
  expect(at.read(there(`models/sha256/${hash}`))).toBe("a model");
  at.remove(there(`models/sha256/${hash}`));
  at.remove(there("models/small.gguf"));
  at.write(here("status/testhost/other.json"), "{}");
  await good(at);
  expect(at.exists(there(`models/sha256/${hash}`))).toBe(false);
  await good(at, { take: "mine", path: `models/sha256/${hash}` });
  expect(at.exists(there(`models/sha256/${hash}`))).toBe(true);
});

test("a model goes without a question where the peer said what it has, and with one where an older peer does not say", async () => {
  for (const older of [false, true]) {
    const asked: string[] = [];
    const hash = hashOf("a model");
    const at = world({
      mine: { ...mine, [`models/sha256/${hash}`]: "a model" },
      theirs: { [`runtime/mirror/testhost/models/${hash}`]: { text: "a mo", mode: 0o600 } },
      onRequest: (words, peer) => {
        asked.push(words.join(" "));
        return older && words[0] === "state" ? silent(peer, words) : undefined;
      },
    });
    const silent = async (peer: FakeWorld, words: readonly string[]) => {
      const { stdout } = await askPeer(peer, words);
      return { code: 0, stdout: JSON.stringify({ ...JSON.parse(stdout), arriving: undefined }) };
    };
    await good(at);
    expect(asked.filter((one) => one.startsWith("arrived"))).toHaveLength(older ? 1 : 0);
    expect(asked).toContain(`model ${hash} 7 4`);
    expect(at.read(there(`models/sha256/${hash}`))).toBe("a model");
  }
});

test("a model that is too large for the peer's disk stays behind by numbers; records, shared files and a smaller model go", async () => {
  const [large, small] = ["large".repeat(4096), "small"];
  const at = world({
    mine: {
      ...mine,
      "agents/a.md": "hello",
      [`models/sha256/${hashOf(large)}`]: large,
      [`models/sha256/${hashOf(small)}`]: small,
      "models/large.gguf": { link: `sha256/${hashOf(large)}` },
      "models/small.gguf": { link: `sha256/${hashOf(small)}` },
    },
    onRequest: (words, peer) => (words[0] === "state" ? tight(peer, words) : undefined),
  });
  const tight = async (peer: FakeWorld, words: readonly string[]) => {
    const { stdout } = await askPeer(peer, words);
    const room = JSON.stringify({ ...JSON.parse(stdout), free: SPARE.model + 1024 });
    return { code: 0, stdout: room };
  };
  const { findings, facts } = await good(at);
  expect(findings).toContainEqual({
    id: "model-left-shadow-0",
    level: "warn",
    what: "model large stays behind: 20.0 KiB of it are to go to shadow, which has 1.0 GiB free",
    why: expect.stringMatching(/^\d+ B of other things go there, and 1.0 GiB stay free$/),
    evidence: `models/sha256/${hashOf(large)}`,
    fix: ["./bin/00_check_structure", "--host", "shadow"],
  });
  expect(facts).toMatchObject({ peers: [{ models_left: ["large"] }] });
  expect(at.read(there("models/small.gguf"))).toBe(small);
  expect(at.read(there("agents/a.md"))).toBe("hello");
  expect(at.read(there(LOG))).toBe('{"a":1}\n{"b":2}\n');
  expect(at.exists(there("models/large.gguf"))).toBe(false);
  // it is no reason to send anything anew
  expect((await good(at)).outcome).toBe("converged");
});

test("a damaged model is not sent, and a sound one over there repairs it", async () => {
  const hash = hashOf("a model");
  const at = world({ mine: { ...mine, [`models/sha256/${hash}`]: "b model" } });
  await Bun.sleep(60); // what changed this very moment is not remembered
  await good(at);
  expect(at.exists(there(`models/sha256/${hash}`))).toBe(false);
  at.write(there(`models/sha256/${hash}`), "a model");
  // the peer proves its own before it says that it can help
  at.write(there(`runtime/work/mirror/models.json`), memoryOf(at, hash));
  await good(at);
  expect(at.read(here(`models/sha256/${hash}`))).toBe("a model");
  expect(at.read(here(`runtime/quarantine/${hashOf("b model")}`))).toBe("b model");
});

/** A memory that the peer hashed this model and found it right. */
function memoryOf(at: FakeWorld, hash: string): string {
  const entry = createProbe(at.machine, PEER_HOME, "shadow").stat(there(`models/sha256/${hash}`));
  const key = [entry?.device, entry?.inode, entry?.size, entry?.mtime, entry?.ctime].join(":");
  return JSON.stringify({ schema: 1, files: { [hash]: [key, hash] } });
}

test("a model whose file was touched is read once, and then known again", async () => {
  const hash = hashOf("a model");
  const at = world({ mine: { ...mine, [`models/sha256/${hash}`]: "a model" } });
  await Bun.sleep(60); // what changed this very moment is not remembered
  await good(at);
  at.write(here(`models/sha256/${hash}`), "a model");
  const noted = await good(at);
  expect(noted.steps.map((one) => one.text).join()).toContain("note models");
  expect((await good(at)).outcome).toBe("converged");
});
