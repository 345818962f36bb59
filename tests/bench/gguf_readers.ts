#!/usr/bin/env bun
/**
 * `bun tests/bench/gguf_readers.ts [FILE]`: our GGUF reader beside node-llama-cpp's: time and peak memory on a model (a built one with 150,000
 * tokens where no FILE is given), and what each makes of hostile files. Each case runs in a process of its own, 30 s at most.
 */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { table } from "../../lib/report/text.ts";
import { ggufFile, tinyModel } from "../support/gguf_writer.ts";

const READERS = {
  ours: `import { readGguf } from ${path("lib/llm/gguf.ts")};
    import { createProbe } from ${path("lib/machine/probe.ts")};
    import { thisMachine } from ${path("lib/machine/machine.ts")};
    const probe = createProbe(thisMachine(), "/", "bench");
    const read = async (file) => readGguf(probe, file).tensors;`,
  "node-llama-cpp": `import { readGgufFileInfo } from "node-llama-cpp";
    const read = async (file) => (await readGgufFileInfo(file, { readTensorInfo: true, logWarnings: false })).fullTensorInfo?.length;`,
};
const RUN = `
  const times = [];
  let said;
  for (let i = 0; i < Number(process.env.TURNS); i++) {
    const began = performance.now();
    try { said = "takes it: " + (await read(process.env.FILE)) + " tensors"; }
    catch (error) { said = "refuses: " + String(error.why ?? error.message).slice(0, 60); }
    times.push(performance.now() - began);
  }
  // VmHWM, because maxRSS begins with that of the process before exec
  const peak = Number(/VmHWM:\\s*(\\d+)/.exec(await Bun.file("/proc/self/status").text())[1]) / 1024;
  console.log(JSON.stringify({ said, first: times[0], median: times.sort((a, b) => a - b)[times.length >> 1], peak }));
  process.exit(0);`;

function path(inside: string): string {
  return JSON.stringify(join(import.meta.dir, "..", "..", inside));
}

const folder = mkdtempSync(join(import.meta.dir, ".gguf-readers-"));
try {
  const whole = Buffer.from(ggufFile(tinyModel()));
  const changed = (at: number, value: bigint) => {
    const copy = Buffer.from(whole);
    copy.writeBigUInt64LE(value, at);
    return copy;
  };
  const texts = whole.indexOf("tokenizer.ggml.tokens") + 21 + 4 + 4;
  const tokens = Array.from({ length: 150_000 }, (_, i) => `token ${i}`);
  const large = ggufFile({
    ...tinyModel(),
    keys: [
      ["general.architecture", ["string", "llama"]],
      ["tokenizer.ggml.tokens", ["array", "string", tokens]],
    ],
  });
  const given = process.argv[2];
  const cases: readonly (readonly [string, Uint8Array | string, number?])[] = [
    given === undefined ? ["150,000 tokens", large] : ["the file", given],
    ["cut by one byte", whole.subarray(0, -1)],
    ["cut in its head", whole.subarray(0, 200)],
    ["2^60 tensors, 4 GiB long", changed(8, 2n ** 60n), 2 ** 32],
    ["2^40 keys", changed(16, 2n ** 40n)],
    ["a list of 2^26 texts, 4 GiB long", changed(texts, 2n ** 26n), 2 ** 32],
    ["version 9", changed(4, 9n)],
  ];
  const rows = [["file", "reader", "first", "median", "peak", ""]];
  for (const [name, content, size] of cases) {
    const file = typeof content === "string" ? content : join(folder, "case.gguf");
    if (typeof content !== "string") writeFileSync(file, content);
    if (size !== undefined) truncateSync(file, size);
    for (const [reader, code] of Object.entries(READERS)) {
      const script = join(folder, "case.ts");
      writeFileSync(script, code + RUN);
      const ran = Bun.spawnSync([process.execPath, script], {
        env: { ...process.env, FILE: file, TURNS: size === undefined ? "9" : "1" },
        timeout: 30_000,
        stderr: "ignore",
      });
      if (ran.exitCode !== 0) {
        rows.push([
          name,
          reader,
          "",
          "",
          "",
          ran.exitedDueToTimeout ? "still at it after 30 s" : "crashes",
        ]);
        continue;
      }
      const { said, first, median, peak } = JSON.parse(ran.stdout.toString()) as {
        readonly said: string;
        readonly first: number;
        readonly median: number;
        readonly peak: number;
      };
      rows.push([
        name,
        reader,
        `${first.toFixed(0)} ms`,
        `${median.toFixed(0)} ms`,
        `${peak.toFixed(0)} MiB`,
        said,
      ]);
    }
  }
  console.log(table(rows).join("\n"));
} finally {
  rmSync(folder, { recursive: true });
}
