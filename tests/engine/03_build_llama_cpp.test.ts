/** llama.cpp really built, proven, interrupted, gone on with, taken back and watched over. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parseBuildInfo, type BuildInfo } from "../../lib/llm/builds.ts";
import { sha256OfFile } from "../../lib/machine/hash.ts";
import {
  engineCopy,
  engineEnvironment,
  ENGINE_WAY,
  engineHome,
  runEngine,
} from "../support/engine_home.ts";
import { documentOf, start, type TestHome } from "../support/program.ts";

const SCRIPT = "03_build_llama_cpp";
const MINUTES = 60_000;

const enginesOf = (home: string) => join(home, "runtime/llama.cpp");
const liveOf = (home: string) => readlinkSync(join(enginesOf(home), "current"));
function infoOf(home: string, id: string): BuildInfo {
  const info = parseBuildInfo(
    JSON.parse(readFileSync(join(enginesOf(home), id, "build-info.json"), "utf8")),
  );
  if (!info) throw new Error(`${id} has no build-info`);
  return info;
}
const said = (argv: readonly string[]) => {
  const ran = Bun.spawnSync([...argv], { stdout: "pipe", stderr: "pipe" });
  return { code: ran.exitCode, text: `${ran.stdout.toString()}${ran.stderr.toString()}` };
};

describe("the build of this run", () => {
  let home = "";
  beforeAll(async () => {
    home = await engineHome();
  }, 40 * MINUTES);

  test("holds the programs that its build-info names, byte for byte", async () => {
    const id = liveOf(home);
    const { files } = infoOf(home, id);
    expect(Object.keys(files).sort()).toEqual([
      "bin/llama-bench",
      "bin/llama-fit-params",
      "bin/llama-quantize",
      "bin/llama-server",
    ]);
    for (const [path, { sha256, bytes }] of Object.entries(files)) {
      const at = join(enginesOf(home), id, path);
      expect(lstatSync(at).size).toBe(bytes);
      expect(await sha256OfFile(at)).toBe(sha256);
      expect(lstatSync(at).mode & 0o777).toBe(0o755);
    }
  });
  test("is llama.cpp at the pinned commit, and says so itself", () => {
    const id = liveOf(home);
    const { commit, flags, backends, inputs } = infoOf(home, id);
    const { code, text } = said([join(enginesOf(home), id, "bin/llama-server"), "--version"]);
    expect(code).toBe(0);
    expect(text).toContain(commit.slice(0, 7));
    expect(flags).toContain("GGML_NATIVE=ON");
    expect(backends).toContain("cpu");
    expect(inputs["compiler"]).toContain("g++");
  });
  test("lays out what it computes at multiples of the CPU's widest vector", () => {
    const server = join(enginesOf(home), liveOf(home), "bin/llama-server");
    const name = /\S*ggml_backend_cpu_buffer_type_get_alignment\S*/.exec(said(["nm", server]).text);
    const { text } = said(["objdump", "-d", `--disassemble=${name?.[0]}`, server]);
    const wide = /^flags\s*:.*\bavx512f\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
    expect(text).toContain(wide ? "$0x40,%eax" : "$0x20,%eax");
  });
  test("was proven against the reference, on the CPU at least", () => {
    const id = liveOf(home);
    const proof = JSON.parse(readFileSync(join(enginesOf(home), id, "proof.json"), "utf8")) as {
      readonly answer: string;
      readonly agreed: { readonly cpu: { readonly right: number; readonly of: number } };
    };
    expect(proof.answer).toContain("Paris");
    expect(proof.agreed.cpu.of).toBeGreaterThan(100);
    expect(proof.agreed.cpu.right / proof.agreed.cpu.of).toBeGreaterThanOrEqual(0.9);
  });
  test("needs nothing more: plan, verify and a second run find nothing to do", async () => {
    const place = { home, folder: join(home, "..") };
    for (const flag of ["--plan", "--verify", "--yes"]) {
      const ended = await runEngine(SCRIPT, [flag, "--json"], place);
      const { outcome, steps } = documentOf(ended);
      expect({ flag, outcome, steps }).toEqual({ flag, outcome: "converged", steps: [] });
    }
  });
});

describe("a home whose live build is another one", () => {
  let place: TestHome;
  let wanted = "";
  const OLD = "b-0123456789ab";

  beforeAll(async () => {
    place = await engineCopy("a höme of its own");
    wanted = liveOf(place.home);
    rename(place.home, wanted, OLD);
  }, 40 * MINUTES);
  afterAll(() => place.dispose());

  test(
    "kill -9 amid compiling: the live one serves on, nothing of it keeps working, and the next run goes on",
    async () => {
      const child = start(ENGINE_WAY, SCRIPT, ["--yes", "--json"], place, {
        env: engineEnvironment(),
      });
      const first = await untilCompiling(child.stderr, 0.15);
      child.kill("SIGKILL");
      await child.exited;
      const tree = join(place.home, "runtime/work/llama.cpp", wanted);
      await untilQuiet(tree);
      expect(liveOf(place.home)).toBe(OLD);
      expect(existsSync(join(enginesOf(place.home), wanted))).toBe(false);
      expect(said([join(enginesOf(place.home), OLD, "bin/llama-server"), "--version"]).code).toBe(
        0,
      );

      const ended = await runEngine(SCRIPT, ["--yes", "--json"], place);
      const report = documentOf(ended);
      expect(report.outcome).toBe("changed");
      expect(ended.stderr).toContain("Going on with the build that was begun");
      const [, left = "0"] = /1 of (\d+) files/.exec(ended.stderr) ?? [];
      expect(Number(left)).toBeGreaterThan(0);
      expect(Number(left)).toBeLessThan(first.total * 0.9);
      expect(liveOf(place.home)).toBe(wanted);
      expect(readdirSync(enginesOf(place.home))).toContain(OLD);
    },
    30 * MINUTES,
  );

  test("undo flips back to it", async () => {
    const report = documentOf(await runEngine(SCRIPT, ["--undo", "--json"], place));
    expect(report.outcome).toBe("changed");
    expect(liveOf(place.home)).toBe(OLD);
    expect(said([join(enginesOf(place.home), OLD, "bin/llama-server"), "--version"]).code).toBe(0);
  });
});

describe("damage", () => {
  test("one flipped bit in a program is found, and nothing else is said of a whole one", async () => {
    const place = await engineCopy();
    try {
      const path = join(enginesOf(place.home), liveOf(place.home), "bin/llama-server");
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      rmSync(path); // it may be a hard link into the shared home
      writeFileSync(path, bytes, { mode: 0o755 });
      const ended = await runEngine(SCRIPT, ["--verify", "--json"], place);
      expect(ended.code).toBe(16);
      expect(documentOf(ended).error?.what ?? documentOf(ended).findings[0]?.what).toContain(
        "bin/llama-server is not what was built",
      );
    } finally {
      place.dispose();
    }
  });
});

/** Makes the build `from` one of another id, as an earlier compiler would have left it. */
function rename(home: string, from: string, to: string): void {
  const folder = enginesOf(home);
  renameSync(join(folder, from), join(folder, to));
  for (const [name, key] of [
    ["build-info.json", "id"],
    ["proof.json", "build"],
  ] as const) {
    const path = join(folder, to, name);
    const text = readFileSync(path, "utf8").replace(`"${key}": "${from}"`, `"${key}": "${to}"`);
    rmSync(path);
    writeFileSync(path, text);
  }
  rmSync(join(folder, "current"));
  symlinkSync(to, join(folder, "current"));
}

/** Reads progress until `share` of the files are compiled. */
async function untilCompiling(
  stream: ReadableStream<Uint8Array>,
  share: number,
): Promise<{ readonly total: number }> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const [, done, total] = [...text.matchAll(/(\d+) of (\d+) files/g)].at(-1) ?? [];
    if (total !== undefined && Number(done) >= Number(total) * share)
      return { total: Number(total) };
  }
  throw new Error(`it ended before it compiled: ${text}`);
}

/** Waits until no process works in `tree`. What ninja had started may finish its one file. */
async function untilQuiet(tree: string): Promise<void> {
  for (let tries = 0; tries < 240; tries++) {
    const busy = readdirSync("/proc").some((name) => {
      try {
        return readlinkSync(`/proc/${name}/cwd`).startsWith(tree);
      } catch {
        return false;
      }
    });
    if (!busy) return;
    await Bun.sleep(500);
  }
  throw new Error(`processes still work in ${tree} two minutes after the kill`);
}
