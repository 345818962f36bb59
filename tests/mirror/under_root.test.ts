/** A mirror that root runs in somebody's home: what it brings is that person's. */
import { expect } from "bun:test";
import { chownSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inHome } from "../../lib/keep/home.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { fetchModel } from "../../lib/mirror/fetch.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { needsRoot, testUnless } from "../support/left_out.ts";
import { certificateOf, mirrorMachine } from "../support/mirror_world.ts";
import { SILENT } from "../support/run.ts";
import { keptForEachTest } from "../support/kept.ts";

const keep = keptForEachTest();
const OWNER = 1234;

testUnless(needsRoot)(
  "a model that root fetches belongs to the home's owner, also the part of one that was cut off",
  async () => {
    const hash = new Bun.CryptoHasher("sha256").update("a model").digest("hex");
    for (const anew of [false, true]) {
      let part: number | undefined;
      const rsync = (argv: readonly string[]) => {
        const to = argv.at(-1) ?? "";
        part = statSync(to, { throwIfNoEntry: false })?.uid;
        writeFileSync(to, "a model");
        if (!anew) return {};
        writeFileSync(`${to}.new`, "a model");
        renameSync(`${to}.new`, to);
        return {};
      };
      const options = mirrorMachine(certificateOf("shadow"), {
        more: { me: { root: true, uid: 0, gid: 0 }, programs: { rsync } },
        theirs: { [`models/sha256/${hash}`]: "a model" },
      });
      const at = keep(fakeMachine(options));
      chownSync(at.path(FAKE_HOME), OWNER, OWNER);
      const probe = createProbe(at.machine, FAKE_HOME, "testhost");
      const act = createAct(at.machine, probe);
      const context = { probe, act, say: SILENT, signal: new AbortController().signal };
      await fetchModel(context, { peer: "shadow", sha256: hash, bytes: 7 });
      expect(part).toBe(OWNER);
      expect(statSync(at.path(inHome.store(FAKE_HOME, hash))).uid).toBe(OWNER);
      expect(statSync(at.path(join(FAKE_HOME, "models"))).uid).toBe(OWNER);
    }
  },
  60_000,
);

testUnless(needsRoot)(
  "what came of a model's stream that broke off belongs to the home's owner",
  async () => {
    const at = keep(
      fakeMachine({ me: { root: true, uid: 0, gid: 0 }, files: { [FAKE_HOME]: { folder: true } } }),
    );
    chownSync(at.path(FAKE_HOME), OWNER, OWNER);
    const act = createAct(at.machine, createProbe(at.machine, FAKE_HOME, "testhost"));
    const path = inHome.mirror(FAKE_HOME, "shadow", "models", "a".repeat(64));
    act.makeFolder(dirname(path));
    async function* cut() {
      yield await Promise.resolve(Buffer.from("a part"));
      throw new Error("cut");
    }
    const receiving = act.receive(path, { from: 0, most: 10, bytes: cut(), patience: 5000 });
    await expect(receiving).rejects.toThrow("cut");
    expect(at.read(path)).toBe("a part");
    expect(statSync(at.path(path)).uid).toBe(OWNER);
  },
);
