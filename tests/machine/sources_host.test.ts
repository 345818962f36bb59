/** Taking a file from another host: whatever its command prints. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Interrupted, ShelterError } from "../../lib/errors.ts";
import { takeOutput } from "../../lib/machine/from_program.ts";
import type { HostCommand } from "../../lib/machine/one_source.ts";
import { fetchVerified, partOf } from "../../lib/machine/sources.ts";
import type { Source } from "../../lib/unit.ts";
import {
  BYTES,
  cleanUp,
  failure,
  HASH,
  havePart,
  place,
  type Place,
  quarantined,
} from "../support/fetching.ts";

afterEach(cleanUp);

const SHADOW: readonly Source[] = [{ host: "shadow", path: "m.gguf" }];
const bring = (at: Place, ofHost: HostCommand, from: readonly Source[] = SHADOW) =>
  fetchVerified(at, from, at.to, HASH, BYTES.length, ofHost);

/** A host that has this file; each offset that it was asked for. */
function having(at: Place, bytes: Uint8Array) {
  const file = join(at.home, "theirs");
  writeFileSync(file, bytes);
  const offsets: number[] = [];
  const command: HostCommand = (_host, _sha256, offset) => {
    offsets.push(offset);
    return Promise.resolve(["tail", "-c", `+${offset + 1}`, file]);
  };
  return { command, offsets };
}
const printing =
  (script: string): HostCommand =>
  () =>
    Promise.resolve(["sh", "-c", script]);

describe("another host's file", () => {
  test("arrives whole, with its progress", async () => {
    const at = place();
    const { command, offsets } = having(at, BYTES);
    await bring(at, command);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
    expect(offsets).toEqual([0]);
    expect(at.progress.some(({ done }) => done === BYTES.length)).toBe(true);
  });

  test("goes on where an earlier run stopped; a part of another file is begun anew", async () => {
    const at = place();
    const { command, offsets } = having(at, BYTES);
    havePart(at, BYTES.subarray(0, 1_000_000));
    await bring(at, command);
    expect([offsets, readFileSync(at.to).equals(BYTES)]).toEqual([[1_000_000], true]);
    const other = place();
    const wrong = having(other, BYTES);
    havePart(other, Buffer.alloc(1_000_000, 7));
    await bring(other, wrong.command);
    expect([wrong.offsets, readFileSync(other.to).equals(BYTES)]).toEqual([[1_000_000, 0], true]);
  });

  test("that is another one goes to quarantine and never gets the name", async () => {
    const at = place();
    const { command } = having(at, Buffer.alloc(BYTES.length, 1));
    expect(await failure(bring(at, command))).toMatchObject({ id: "hash-differs" });
    expect([existsSync(at.to), quarantined(at).length]).toEqual([false, 1]);
  });

  test("that never ends, breaks off, or is refused falls to the next source, with the reason", async () => {
    for (const [script, words] of [
      ["yes", "it sends more than"],
      ["echo no such model >&2; exit 11", "no such model"],
      ["exit 255", "it ended with 255"],
    ] as const) {
      const at = place();
      expect((await failure(bring(at, printing(script)))).why).toContain(words);
      const good = join(at.home, "good");
      writeFileSync(good, BYTES);
      await bring(at, printing(script), [...SHADOW, { path: good }]);
      expect(readFileSync(at.to).equals(BYTES)).toBe(true);
    }
    const at = place();
    const notPaired: HostCommand = () =>
      Promise.reject(new ShelterError("not-paired", "fetching", "it is not paired"));
    expect((await failure(bring(at, notPaired))).why).toContain("it is not paired");
  });

  test("is let go when the run is stopped; what came is kept for the next", async () => {
    const at = place();
    const file = join(at.home, "theirs");
    writeFileSync(file, BYTES);
    const command = printing(`head -c 500000 '${file}'; sleep 60`);
    const going = bring(at, command);
    for (let tries = 0; tries < 200 && at.progress.length === 0; tries++) await Bun.sleep(10);
    at.stop.abort(new Interrupted("SIGINT"));
    await expect(going).rejects.toBeInstanceOf(Interrupted);
    expect(readFileSync(partOf(at.home, HASH)).length).toBeGreaterThan(0);
  });
});

test("a silent program is given up", async () => {
  const at = place();
  const taking = takeOutput(at.act, {
    ...{ argv: ["sleep", "60"], to: join(at.home, "part"), limit: 10, what: "fetching it" },
    ...{ signal: at.signal, onBytes: () => undefined, patience: 50 },
  });
  await expect(taking).rejects.toMatchObject({ id: "source-silent" });
});
