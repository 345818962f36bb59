/** `shelter up` for real: from an empty home to a model's answer, again at once, asked, served, and taken back. One home, in this order. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { engineCopy, engineEnvironment } from "../support/engine_home.ts";
import { testUnless } from "../support/left_out.ts";
import {
  COMPILED,
  documentOf,
  journalOf,
  faultsOf,
  freshHome,
  runName,
  start,
  type Ended,
  type TestHome,
} from "../support/program.ts";

const MINUTE = 60_000;
const SCRIPTS = [
  "00_check_structure",
  "01_host_inventory",
  "01_validate_prereqs",
  "02_scaffold_dirs",
  "03_build_llama_cpp",
  "03_install_models",
  "04_llm_benchmark",
];

/**
 * With a compiler cache the engine is built anew in a few seconds, because other tests of this tier have built it. Without one a second build would
 * take minutes: `up` then starts from a home that has the engine and the model already.
 */
const fromNothing = Bun.which("ccache") !== null;

/** Stands where it hides no sign that this may become a home. */
const MINE = "logs/mine.txt";

let at: TestHome;
beforeAll(async () => {
  at = fromNothing ? freshHome("a home, ünïcödé 雪") : await engineCopy("a home, ünïcödé 雪");
  mkdirSync(join(at.home, "logs"), { recursive: true, mode: 0o700 });
  writeFileSync(join(at.home, MINE), "the operator's own\n");
}, 30 * 60_000);
afterAll(() => at.dispose());

const env = engineEnvironment();
const shelter = (...words: readonly string[]): Promise<Ended> =>
  runName(COMPILED, "shelter", words, at, { env });
const json = async <T>(...words: readonly string[]): Promise<T> =>
  documentOf(await shelter(...words, "--json")) as unknown as T;

/** Every file below the home with its size, time and content's place; locks come and go. */
function picture(): readonly string[] {
  return readdirSync(at.home, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.startsWith(join("runtime", "locks")))
    .map((name) => {
      const { size, mtimeMs, ino } = statSync(join(at.home, name), { throwIfNoEntry: false }) ?? {
        size: 0,
        mtimeMs: 0,
        ino: 0,
      };
      return statSync(join(at.home, name), { throwIfNoEntry: false })?.isDirectory()
        ? name
        : `${name} ${size} ${mtimeMs} ${ino}`;
    })
    .sort();
}
/** Engines of this home that still run, by /proc. */
function engines(): readonly string[] {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return line.includes("llama-") && line.includes(at.home)
          ? [line.replaceAll("\0", " ")]
          : [];
      } catch {
        return [];
      }
    });
}

/** Most memory that a program itself ever held, in bytes, by its own high-water mark. */
async function peakOf(child: Bun.Subprocess): Promise<number> {
  let peak = 0;
  for (; child.exitCode === null && child.signalCode === null; await Bun.sleep(20)) {
    try {
      const kib = /^VmHWM:\s*(\d+) kB/m.exec(
        readFileSync(`/proc/${child.pid}/status`, "utf8"),
      )?.[1];
      peak = Math.max(peak, Number(kib ?? 0) * 1024);
    } catch {
      break; // it has ended
    }
  }
  return peak;
}

interface Up {
  readonly outcome: string;
  readonly runs: readonly { readonly script: string; readonly outcome: string }[];
  readonly answer?: {
    readonly text: string;
    readonly tokens: number;
    readonly tokens_per_second: number;
    readonly started: boolean;
  };
}

describe("up", () => {
  test(
    "brings an empty home to an answer, script by script",
    async () => {
      const child = start(COMPILED, "shelter", ["up", "--json"], at, { env });
      const peak = peakOf(child);
      const [stdout, stderr, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      const up = documentOf({ stdout, stderr, code }) as unknown as Up;
      expect([code, up.outcome]).toEqual([0, "changed"]);
      expect(await peak).toBeLessThan(250_000_000);
      expect(up.runs.map((run) => run.script)).toEqual(SCRIPTS);
      for (const run of up.runs)
        expect([run.script, ["changed", "converged"].includes(run.outcome)]).toEqual([
          run.script,
          true,
        ]);
      expect(up.answer?.text.trim().length).toBeGreaterThan(10);
      expect(up.answer?.tokens).toBeGreaterThan(3);
      expect(up.answer?.tokens_per_second).toBeGreaterThan(0);
      expect(faultsOf(journalOf(at.home).lines)).toEqual([]);
      expect(engines()).toEqual([]);
      const { scripts } = await json<{ scripts: { script: string; standing: string }[] }>("status");
      const done = scripts.filter((row) => row.standing === "done").map((row) => row.script);
      expect(done).toEqual([...SCRIPTS, "08_shelter_cli"]);
    },
    25 * MINUTE,
  );

  test(
    "again at once changes nothing, says so, and takes less than three seconds",
    async () => {
      const was = picture();
      const took: number[] = [];
      for (let round = 0; round < 3; round++) {
        const began = performance.now();
        const ended = await shelter("up");
        took.push(performance.now() - began);
        expect(ended.code).toBe(0);
        expect(ended.stdout).toContain("Nothing to do");
        expect(ended.stdout).toContain("What didn't I ask you?");
      }
      expect(picture()).toEqual(was);
      expect(Math.min(...took)).toBeLessThan(3000);
      expect(await json<Up>("up")).toMatchObject({
        outcome: "converged",
        runs: SCRIPTS.map((script) => ({ script, outcome: "converged" })),
      });
    },
    2 * MINUTE,
  );

  test(
    "plan and verify find nothing to do, next has nothing",
    async () => {
      expect((await shelter("plan")).code).toBe(0);
      expect((await shelter("verify")).code).toBe(0);
      expect((await shelter("next")).code).toBe(0);
    },
    5 * MINUTE,
  );
});

describe("ask", () => {
  test(
    "streams an answer to stdout and its figures to stderr, and leaves no engine",
    async () => {
      const ended = await shelter(
        "ask",
        "What",
        "is",
        "the",
        "capital",
        "city",
        "of",
        "France? Answer in one sentence.",
        "--max-tokens",
        "40",
      );
      expect([ended.code, ended.stdout.includes("Paris")]).toEqual([0, true]);
      expect(ended.stderr).toMatch(/\d+ tokens, [\d.]+ tokens\/s/);
      expect(engines()).toEqual([]);
    },
    3 * MINUTE,
  );

  test("a model that is not there is refused by name", async () => {
    const ended = await shelter("ask", "x", "--model", "no-such\u001b[2J");
    expect(ended.code).toBe(11);
    expect(ended.stderr + ended.stdout).toContain("no-such\\x1b[2J");
  });
});

describe("serve", () => {
  /** Starts serving and waits for its document; the rest of stdout is of no interest. */
  async function serving() {
    const child = start(COMPILED, "shelter", ["serve", "--json"], at, { env });
    let text = "";
    for await (const chunk of child.stdout) {
      text += new TextDecoder().decode(chunk);
      if (text.trimEnd().endsWith("}")) break;
    }
    return {
      child,
      document: JSON.parse(text) as { url: string; key_file: string; model: string; pid: number },
    };
  }

  test(
    "is OpenAI-compatible behind a key, answers ask, and Ctrl-C ends it with 130 and nothing left",
    async () => {
      const { child, document } = await serving();
      const body = JSON.stringify({
        messages: [{ role: "user", content: "Say hi." }],
        max_tokens: 5,
      });
      const url = `${document.url}/chat/completions`;
      expect(document.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/);
      expect(statSync(document.key_file).mode & 0o777).toBe(0o600);
      expect((await fetch(url, { method: "POST", body })).status).toBe(401);
      const Authorization = `Bearer ${readFileSync(document.key_file, "utf8").trim()}`;
      const answer = await fetch(url, {
        method: "POST",
        body,
        headers: { Authorization, "Content-Type": "application/json" },
      });
      expect([
        answer.status,
        typeof ((await answer.json()) as { choices: { message: { content: unknown } }[] })
          .choices[0]?.message.content,
      ]).toEqual([200, "string"]);
      expect(
        await json<{ started: boolean; text: string }>("ask", "Say hi.", "--max-tokens", "5"),
      ).toMatchObject({ started: false });
      expect((await shelter("serve")).code).toBe(12);
      expect((await shelter("status")).stdout).toContain("running now: serve");
      expect((await shelter("undo", "--all")).code).toBe(12);
      for (const line of engines())
        expect(line).not.toContain(Authorization.slice("Bearer ".length));
      child.kill("SIGINT");
      expect(await child.exited).toBe(130);
      expect([engines(), existsSync(document.key_file)]).toEqual([[], false]);
    },
    5 * MINUTE,
  );

  test(
    "killed with -9 takes its engine along, and the next one serves",
    async () => {
      const { child } = await serving();
      expect(engines().length).toBe(1);
      child.kill("SIGKILL");
      await child.exited;
      for (let i = 0; i < 50 && engines().length > 0; i++) await Bun.sleep(100);
      expect(engines()).toEqual([]);
      const again = await serving();
      again.child.kill("SIGTERM");
      expect(await again.child.exited).toBe(0);
      expect(engines()).toEqual([]);
    },
    5 * MINUTE,
  );
});

testUnless(fromNothing ? undefined : "without ccache the home did not start empty")(
  "undo --all --forget leaves the home as it was found",
  async () => {
    const ended = await shelter("undo", "--all", "--forget");
    expect([ended.code, readdirSync(at.home, { recursive: true })]).toEqual([0, ["logs", MINE]]);
  },
  2 * MINUTE,
);
