/** Hostile ends: a reader that goes away, Ctrl-C and kill -9 at any moment, twenty at once. */
import { describe, expect, test } from "bun:test";
import { createHash, randomInt } from "node:crypto";
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { keptForEachTest } from "../support/kept.ts";
import {
  COMPILED,
  documentOf,
  faultsOf,
  freshHome,
  journalOf,
  plainEnvironment,
  runName,
  start,
  type TestHome,
} from "../support/program.ts";

const keep = keptForEachTest();
function place(): TestHome {
  return keep(freshHome());
}
const run = (at: TestHome, script: string, ...args: readonly string[]) =>
  runName(COMPILED, script, args, at);

/** Settings and folders of a home: what must be there whole, or not at all. The records of runs are judged by the journal. */
function substance(home: string): Record<string, string> {
  const found: Record<string, string> = {};
  if (!existsSync(home)) return found;
  for (const name of readdirSync(home, { recursive: true, encoding: "utf8" }).sort()) {
    // half-written files of a killed run have names that no reader looks for: see the test of what becomes of them
    if (/^(logs|status|runtime|history_main\.log)(\/|$)|\.shelter-tmp-/.test(name)) continue;
    const path = join(home, name);
    const stats = lstatSync(path);
    const mode = (stats.mode & 0o7777).toString(8);
    found[name] = stats.isSymbolicLink()
      ? `link ${readlinkSync(path)}`
      : stats.isDirectory()
        ? `folder ${mode}`
        : `file ${mode} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`;
  }
  return found;
}

describe("a reader that goes away", () => {
  test.each([
    ["stdout closed at once", "exec >&-"],
    ["stdout and stderr closed", "exec >&- 2>&-"],
    ["no stdin, stdout and stderr", "exec <&- >&- 2>&-"],
  ])("%s: the run is whole", async (_, how) => {
    const at = place();
    const through = ["sh", "-c", `${how}; exec "$@"`, "sh"];
    const { code } = await runName(COMPILED, "02_scaffold_dirs", [], at, { through });
    expect(code).toBe(0);
    expect((await run(at, "02_scaffold_dirs", "--verify")).code).toBe(0);
    expect(faultsOf(journalOf(at.home).lines)).toEqual([]);
    const report = await runName(COMPILED, "00_check_structure", ["--json"], at, { through });
    expect(report.code).toBe(0);
  });

  test("a pipe that nobody reads any more", async () => {
    const at = place();
    // `true` has ended before the first byte comes
    const through = [
      "bash",
      "-c",
      '{ sleep 0.3; exec "$@"; } | true; exit "${PIPESTATUS[0]}"',
      "bash",
    ];
    for (const args of [[], ["--json"], ["--help"], ["--plan", "--verbose"]]) {
      const { code, stderr } = await runName(COMPILED, "02_scaffold_dirs", args, at, { through });
      expect([args, [0, 141].includes(code), stderr.includes("did not expect")]).toEqual([
        args,
        true,
        false,
      ]);
    }
    expect((await run(at, "02_scaffold_dirs", "--verify")).code).toBe(0);
    expect(faultsOf(journalOf(at.home).lines)).toEqual([]);
  });

  test("a full device behind stdout", async () => {
    const at = place();
    const full = openSync("/dev/full", "w");
    try {
      const child = Bun.spawn([...COMPILED.command("02_scaffold_dirs"), "--home", at.home], {
        cwd: at.folder,
        env: plainEnvironment(at.folder),
        stdio: ["ignore", full, "pipe"],
      });
      const stderr = await new Response(child.stderr).text();
      const code = await child.exited;
      expect(stderr).not.toContain("    at ");
      expect([code, stderr.includes("stdout could not be written")]).toEqual([11, true]);
    } finally {
      closeSync(full);
    }
    expect((await run(at, "02_scaffold_dirs", "--verify")).code).toBe(0);
    expect(faultsOf(journalOf(at.home).lines)).toEqual([]);
  });
});

const SCRIPTS = ["02_scaffold_dirs", "00_check_structure", "01_host_inventory"] as const;

/** How long a run of each script takes here, so that the moments fall all over it. */
async function lengths(): Promise<ReadonlyMap<string, number>> {
  const at = place();
  const found = new Map<string, number>();
  for (const script of SCRIPTS) {
    const started = performance.now();
    await run(at, script);
    found.set(script, performance.now() - started);
  }
  return found;
}

/** Stops runs at random moments, and looks after each that the next run is whole. */
async function stopAtRandom(signal: "SIGKILL" | "SIGINT", times: number): Promise<Set<string>> {
  const ms = await lengths();
  const whole = place();
  await run(whole, "02_scaffold_dirs");
  const want = substance(whole.home);
  const outcomes = new Set<string>();
  let at = place();
  for (let turn = 0; turn < times; turn++) {
    if (turn % 5 === 0) at = place(); // sometimes a bare start, sometimes a home with a past
    const script = SCRIPTS[turn % SCRIPTS.length] ?? "02_scaffold_dirs";
    const before = substance(at.home);
    const child = start(COMPILED, script, ["--json"], at);
    const after = randomInt(1, Math.ceil((ms.get(script) ?? 300) * 1.1));
    await Bun.sleep(after);
    child.kill(signal);
    await child.exited;
    const stdout = await new Response(child.stdout).text();
    const how = String(child.signalCode ?? `exit ${child.exitCode}`);
    outcomes.add(how);
    const told = `turn ${turn}: ${script} stopped after ${after} ms (${how}): ${stdout}`;
    if (signal === "SIGINT") {
      // it took itself back, or it was done already, or it had not begun
      expect([told, ["exit 130", "exit 0", "SIGINT"].includes(how)]).toEqual([told, true]);
      const now = substance(at.home);
      if (how === "exit 130") expect([told, now]).toEqual([told, before]);
      expect([told, faultsOf(journalOf(at.home).lines)]).toEqual([told, []]);
    }
    const next = await run(at, script, "--json");
    expect([told, next.code, next.stderr]).toEqual([told, 0, expect.any(String)]);
    const lines = journalOf(at.home).lines.filter((line) => line.script === script);
    expect([told, lines.filter((line) => line.kind === "begin").length]).toEqual([
      told,
      lines.filter((line) => line.kind === "end").length,
    ]);
    const settled = await run(at, "02_scaffold_dirs", "--json");
    expect([told, settled.code]).toEqual([told, 0]);
    expect([told, substance(at.home)]).toEqual([told, want]);
  }
  return outcomes;
}

test("kill -9 at thirty random moments: the next run recovers, the journal has no gap, nothing is lost", async () => {
  const outcomes = await stopAtRandom("SIGKILL", 30);
  expect(outcomes).toContain("SIGKILL");
}, 240_000);

test("Ctrl-C at fifteen random moments: it takes itself back, and the next run is whole", async () => {
  await stopAtRandom("SIGINT", 15);
}, 240_000);

test("what a killed run left half-written goes when it is old, or with all the rest", async () => {
  const at = place();
  await run(at, "02_scaffold_dirs");
  const [old, fresh] = [".shelter-tmp-0123456789abcdef", ".shelter-tmp-fedcba9876543210"];
  for (const name of [old, fresh]) writeFileSync(join(at.home, name), "half", { mode: 0o600 });
  utimesSync(join(at.home, old), 1, 1);
  expect((await run(at, "00_check_structure")).code).toBe(0);
  expect([old, fresh].map((name) => existsSync(join(at.home, name)))).toEqual([false, true]);
  expect((await run(at, "shelter", "undo", "--all", "--forget", "--yes")).code).toBe(0);
  expect(readdirSync(at.folder)).toEqual([]);
}, 60_000);

test("twenty at once: one acts, the others say who does or find nothing left to do", async () => {
  const at = place();
  const all = await Promise.all(
    Array.from({ length: 20 }, () => run(at, "02_scaffold_dirs", "--json")),
  );
  const reports = all.map(documentOf);
  const count = (outcome: string) => reports.filter((one) => one.outcome === outcome).length;
  expect(count("changed")).toBe(1);
  expect(count("changed") + count("locked") + count("converged")).toBe(20);
  for (const { outcome, error } of reports) {
    if (outcome !== "locked") continue;
    expect(error?.why).toMatch(/process \d+ \(02_scaffold_dirs\) has held its lock for \d+ s/);
  }
  for (const [index, { code }] of all.entries()) {
    expect(code).toBe(reports[index]?.outcome === "locked" ? 12 : 0);
  }
  const { lines, torn } = journalOf(at.home);
  expect(torn).toBe(0);
  expect(faultsOf(lines)).toEqual([]);
  expect(
    lines.filter((line) => line.kind === "begin" && line.script === "02_scaffold_dirs").length,
  ).toBeLessThanOrEqual(2);
  expect((await run(at, "02_scaffold_dirs", "--verify")).code).toBe(0);
}, 60_000);

test("different scripts at once, all with something to record: the journal keeps them apart", async () => {
  const at = place();
  await run(at, "02_scaffold_dirs");
  const names = [...SCRIPTS, "01_validate_prereqs", "shelter"];
  for (let turn = 0; turn < 5; turn++) {
    // without a status every run is news, and writes its begin and its end
    rmSync(join(at.home, "status"), { recursive: true });
    const all = await Promise.all(
      [...names, ...names].map((name) =>
        run(at, name, ...(name === "shelter" ? ["status"] : []), "--json"),
      ),
    );
    for (const [index, one] of all.entries()) {
      if (names[index % names.length] === "shelter") expect(one.code).toBe(0);
      else expect([0, 11, 12]).toContain(one.code);
    }
  }
  const { lines, torn } = journalOf(at.home);
  expect(torn).toBe(0);
  expect(faultsOf(lines)).toEqual([]);
  expect(lines.length).toBeGreaterThan(5 * 4);
}, 120_000);
