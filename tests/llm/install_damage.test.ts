/** Damage at rest: found, set aside, mended, never served. */
import { afterEach, describe, expect, test } from "bun:test";
import { closeSync, openSync, utimesSync, writeSync } from "node:fs";
import { FAKE_HOME, type FakeWorld } from "../support/fake_machine.ts";
import { catalogueText, type TestModel } from "../support/models.ts";
import {
  A,
  at,
  B,
  disposeWorlds,
  fails,
  hashOf,
  run,
  servable,
  stored,
  world,
} from "../support/model_world.ts";

afterEach(disposeWorlds);

/** Flips one byte and leaves size, time and inode as they were: what a disk does. */
function rot(here: FakeWorld, model: TestModel, offset = 700) {
  const path = here.path(stored(model));
  const like = here.path("/data/times");
  Bun.spawnSync(["touch", "-r", path, like]);
  const file = openSync(path, "r+");
  writeSync(file, Buffer.from([(model.bytes[offset] ?? 0) ^ 1]), 0, 1, offset);
  closeSync(file);
  Bun.spawnSync(["touch", "-r", like, path]); // to the nanosecond, which utimes() can't
}

describe("damage at rest", () => {
  test("one flipped bit: unseen by a plain run, found by --verify (which writes nothing), mended by --recheck", async () => {
    const here = world();
    await run(here, { models: "a,b" });
    rot(here, A);
    expect((await run(here, { models: "a,b" })).outcome).toBe("converged");
    const before = here.picture(FAKE_HOME);
    const report = await run(here, { models: "a,b" }, "verify");
    expect(report.outcome).toBe("corrupt");
    expect(fails(report).map((one) => one.id)).toEqual(["damaged-a"]);
    expect(fails(report)[0]?.fix).toEqual(["03_install_models", "--recheck"]);
    expect(here.picture(FAKE_HOME)).toEqual(before);
    const mended = await run(here, { models: "a,b", recheck: true });
    expect(mended.outcome).toBe("changed");
    expect(await servable(here)).toEqual(["a", "b"]);
    expect((await run(here, { models: "a,b" }, "verify")).outcome).toBe("converged");
    expect(here.picture(at("runtime/quarantine")).length).toBe(2); // the folder and the one damaged file
  });
  test("a file that changed is not served until it is proven again, and goes aside when it can't be", async () => {
    const here = world();
    await run(here);
    here.write(stored(A), { bytes: Buffer.concat([A.bytes, Buffer.from("x")]), mode: 0o600 });
    expect(await servable(here)).toEqual([]);
    const report = await run(here);
    expect(report.outcome).toBe("changed");
    expect(await servable(here)).toEqual(["a"]);
    expect(here.exists(at("runtime/quarantine"))).toBe(true);
  });
  test("--recheck proves again also what a clock that went back proved in the future", async () => {
    let now = Date.parse("2027-01-01T00:00:00Z");
    const here = world({ now: () => now });
    await run(here);
    rot(here, A);
    now = Date.parse("2026-01-01T00:00:00Z");
    expect((await run(here, { recheck: true })).outcome).toBe("changed");
    expect((await run(here, {}, "verify")).outcome).toBe("converged");
  });
  test("touched, but the same bytes: proven again, nothing fetched", async () => {
    const here = world();
    await run(here);
    utimesSync(here.path(stored(A)), 1, 1);
    expect(await servable(here)).toEqual([]);
    const report = await run(here);
    expect(report.steps.map((one) => one.do)).toEqual(["call"]);
    expect(await servable(here)).toEqual(["a"]);
  });
  test("damaged and its source gone: the file stays aside, also after the run is taken back; never served", async () => {
    const here = world();
    await run(here);
    rot(here, A);
    here.remove("/data/a");
    const report = await run(here, { recheck: true });
    expect(report.outcome).toBe("rolled-back");
    expect(await servable(here)).toEqual([]);
    expect(here.exists(stored(A))).toBe(false);
    here.write("/data/a", { bytes: A.bytes });
    expect((await run(here)).outcome).toBe("changed");
    expect(await servable(here)).toEqual(["a"]);
  });
  test("a model that is in no catalogue any more and damaged: corrupt, with the way out", async () => {
    const here = world();
    await run(here, { models: "a,b" });
    here.write(at("models/local.yaml"), catalogueText([A], "a"));
    rot(here, B);
    const report = await run(here, { recheck: true });
    expect(report.outcome).toBe("corrupt");
    expect(report.error?.id).toBe("lost-b");
    expect(report.error?.fix).toEqual(["03_install_models", "--remove", "b"]);
    expect(await servable(here)).toEqual(["a"]);
    expect((await run(here, { remove: "b" })).outcome).toBe("changed");
    expect((await run(here)).outcome).toBe("converged");
  });
  test("a model that nobody asks for now, but that was installed, comes back too", async () => {
    const here = world();
    await run(here, { models: "a,b" });
    here.remove(stored(B));
    expect((await run(here, { models: "a" })).outcome).toBe("changed");
    expect(await servable(here)).toEqual(["a", "b"]);
  });
  test("a damaged proof is no proof", async () => {
    const here = world();
    await run(here);
    for (const text of [
      "",
      "{",
      "null",
      "[]",
      '{"schema":1}',
      here.read(at(`runtime/verified/${hashOf(A)}.json`)).replace('"schema":1', '"schema":2'),
    ]) {
      here.write(at(`runtime/verified/${hashOf(A)}.json`), text);
      expect(await servable(here)).toEqual([]);
      expect((await run(here)).outcome).toBe("changed");
      expect(await servable(here)).toEqual(["a"]);
    }
  });
});
