/** The small real model, fetched for real into a home of its own: killed, brought, read by two readers, damaged, mended, taken back. In this order. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { readGgufFileInfo } from "node-llama-cpp";
import { lookAtCatalogue } from "../../lib/llm/catalogue.ts";
import { cacheBytes, USUAL_SERVING } from "../../lib/llm/fit.ts";
import { readGguf } from "../../lib/llm/gguf.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { ENGINE_WAY, engineEnvironment } from "../support/engine_home.ts";
import { documentOf, freshHome, runName, start, type TestHome } from "../support/program.ts";

const SCRIPT = "03_install_models";
const MINUTE = 60_000;
const MIB = 2 ** 20;
let at: TestHome;
beforeAll(() => {
  at = freshHome("a höme");
});
afterAll(() => at.dispose());

const run = (args: readonly string[], env = engineEnvironment()) =>
  runName(ENGINE_WAY, SCRIPT, args, at, { env });
/** No registry answers: what still works was there already. */
const CUT_OFF = {
  PIP_INDEX_URL: "http://127.0.0.1:9/",
  PIP_RETRIES: "0",
  PIP_DEFAULT_TIMEOUT: "2",
};
const link = () => join(at.home, "models", "smollm2-135m.gguf");
const small = async () => {
  const { entries } = await lookAtCatalogue(createProbe(thisMachine(), at.home, "test"));
  const entry = entries.find((one) => one.name === "smollm2-135m");
  if (!entry) throw new Error("the catalogue has no small model");
  return entry;
};
/** Highest memory of a process so far, in MiB. */
function peak(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/VmHWM:\s*(\d+) kB/.exec(text)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

test(
  "killed amid its fetch, then run again: the model is there, proven, within 250 MB of memory",
  async () => {
    const first = start(ENGINE_WAY, SCRIPT, [], at, { env: engineEnvironment() });
    await Bun.sleep(1200);
    first.kill("SIGKILL");
    await first.exited;
    const child = start(ENGINE_WAY, SCRIPT, ["--json"], at, { env: engineEnvironment() });
    let most = 0;
    const timer = setInterval(() => (most = Math.max(most, peak(child.pid))), 20);
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    clearInterval(timer);
    const report = documentOf({ stdout, stderr, code });
    expect({ code, outcome: report.outcome }).toEqual({ code: 0, outcome: "changed" });
    expect(most).toBeGreaterThan(20);
    expect(most).toBeLessThan(250_000_000 / MIB);
    const entry = await small();
    expect(readlinkSync(link())).toBe(`sha256/${entry.sha256}`);
    expect(readdirSync(join(at.home, "runtime", "work", "fetch"))).toEqual([]);
    expect((await run(["--verify"])).code).toBe(0);
  },
  10 * MINUTE,
);

test(
  "again at once: nothing changes, also with no network, and soon",
  async () => {
    const began = performance.now();
    const report = documentOf(await run(["--json"], CUT_OFF));
    expect({ outcome: report.outcome, steps: report.steps }).toEqual({
      outcome: "converged",
      steps: [],
    });
    expect(performance.now() - began).toBeLessThan(3000);
  },
  MINUTE,
);

test(
  "its head says what the catalogue says, to our reader and to node-llama-cpp's",
  async () => {
    const entry = await small();
    const ours = readGguf(createProbe(thisMachine(), at.home, "test"), link());
    expect({
      bytes: ours.bytes,
      quantisation: ours.quantisation,
      context: ours.context,
      layers: ours.layers,
      kvBytesPerToken: ours.kvBytesPerToken,
      vocabulary: ours.vocabulary,
      embedding: ours.embedding,
    } as unknown).toEqual({
      bytes: entry.bytes,
      quantisation: entry.quantisation,
      context: entry.context,
      layers: entry.layers,
      kvBytesPerToken: entry.kvBytesPerToken,
      vocabulary: entry.vocabulary,
      embedding: entry.embedding,
    });
    const theirs = await readGgufFileInfo(link(), { readTensorInfo: true, logWarnings: false });
    expect(theirs.fullTensorInfo?.length).toBe(ours.tensors);
    expect(theirs.metadata.llama?.block_count).toBe(ours.layers ?? 0);
    expect(cacheBytes(entry, USUAL_SERVING)).toBe(90 * MIB); // what the engine itself allocates at 4096 tokens
  },
  MINUTE,
);

test(
  "one flipped bit: --verify ends with 16 and writes nothing; --recheck sets it aside and fetches anew",
  async () => {
    const entry = await small();
    const file = join(at.home, "models", "sha256", entry.sha256);
    const like = join(at.folder, "times");
    Bun.spawnSync(["touch", "-r", file, like]);
    const handle = openSync(file, "r+");
    const byte = Buffer.alloc(1);
    readSync(handle, byte, 0, 1, 50_000_000);
    byte[0] = (byte[0] ?? 0) ^ 1;
    writeSync(handle, byte, 0, 1, 50_000_000);
    closeSync(handle);
    Bun.spawnSync(["touch", "-r", like, file]);
    expect((await run([])).code).toBe(0); // size, time and inode are as they were
    const verified = await run(["--verify", "--json"]);
    expect(verified.code).toBe(16);
    expect(documentOf(verified).findings.filter((one) => one.level === "fail")).toMatchObject([
      { id: "damaged-smollm2-135m" },
    ]);
    expect(existsSync(join(at.home, "runtime", "quarantine"))).toBe(false);
    expect((await run(["--recheck"])).code).toBe(0);
    expect(readdirSync(join(at.home, "runtime", "quarantine")).length).toBe(1);
    expect((await run(["--verify"])).code).toBe(0);
  },
  10 * MINUTE,
);

test(
  "taken back, and brought again with no network from what was kept",
  async () => {
    expect((await run(["--undo"])).code).toBe(0);
    expect((await run(["--remove", "smollm2-135m"])).code).toBe(0);
    expect(existsSync(link())).toBe(false);
    const report = documentOf(await run(["--json"], CUT_OFF));
    expect(report.outcome).toBe("changed");
    expect(existsSync(link())).toBe(true);
  },
  5 * MINUTE,
);
