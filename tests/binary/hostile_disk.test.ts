/** A disk that is full, at every place where it can be: each run ends cleanly, nothing is lost or torn, and with room again the next run is whole. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { needsRoot, testUnless } from "../support/left_out.ts";
import { smallDisk, type SmallDisk } from "../support/mounts.ts";
import {
  COMPILED,
  documentOf,
  faultsOf,
  freshHome,
  journalOf,
  runName,
  type Report,
  type TestHome,
} from "../support/program.ts";

/** What may come of a run that found no room: it never began, or it took everything back, or it says what is left. */
const HONEST = new Set(["blocked", "rolled-back", "broken"]);

async function withDisk(
  options: string,
  body: (disk: SmallDisk, at: TestHome) => Promise<void>,
): Promise<void> {
  const at = freshHome("disk");
  const disk = await smallDisk(at.home, options);
  try {
    await body(disk, { ...at, home: join(at.home, "home") });
  } finally {
    await disk.end();
    at.dispose();
  }
}

const run = (disk: SmallDisk, at: TestHome, script: string, ...args: readonly string[]) =>
  runName(COMPILED, script, [...args, "--json"], at, { through: disk.through });

/** What must hold of a home after a run that met the full disk, before anybody repairs it. */
function expectWhole(disk: SmallDisk, at: TestHome, report: Report): void {
  expect(HONEST).toContain(report.outcome);
  expect([report, typeof report.error?.why]).toEqual([report, "string"]);
  if (report.error?.id === "disk-full") {
    expect(report.error.what).toContain(` ${dirname(at.home)}`);
    expect(report.error.why).toContain(`the file system of ${dirname(at.home)}`);
  }
  if (report.outcome === "broken")
    expect([report.left?.length ?? 0, report.error]).not.toEqual([0, undefined]);
  const config = disk.outside(join(at.home, "shared.cfg"));
  if (existsSync(config)) expect(readFileSync(config, "utf8")).toEndWith("\n");
}

/** With room again: the next run repairs and converges, the journal is whole, no temporary file stays. */
async function expectRecovery(disk: SmallDisk, at: TestHome): Promise<void> {
  const next = await run(disk, at, "02_scaffold_dirs");
  expect(["changed", "converged"]).toContain(documentOf(next).outcome);
  expect(documentOf(await run(disk, at, "02_scaffold_dirs")).outcome).toBe("converged");
  // 00 says that so small a disk has little room, and must find nothing else
  const look = documentOf(await run(disk, at, "00_check_structure", "--plan"));
  const fails = look.findings.filter((one) => one.level === "fail" && !/space|inode/.test(one.id));
  expect([look.steps, fails]).toEqual([[], []]);
  const home = disk.outside(at.home);
  expect(faultsOf(journalOf(home).lines)).toEqual([]);
  const names = readdirSync(home, { recursive: true, encoding: "utf8" });
  expect(names.filter((name) => name.includes(".shelter-tmp-"))).toEqual([]);
}

/**
 * Scaffolds in a home on a disk with ever more room, from none at all, until it gets through: every run that did not is judged, and recovers.
 * `fill` is a shell line that leaves room for $2 more in the disk, by what it puts at $1. At most `most` rounds. The sweep must really meet
 * the full disk, before and after the first act.
 */
async function sweep(options: string, most: number, fill: string): Promise<void> {
  const met = new Set<string>();
  await withDisk(options, async (disk, at) => {
    const ballast = join(at.folder, "disk", "ballast");
    for (let spare = 0, done = false; !done; spare += 1) {
      expect(spare).toBeLessThan(most);
      await disk.inside("rm", "-rf", at.home);
      await disk.inside("sh", "-c", fill, "sh", ballast, String(spare));
      const report = documentOf(await run(disk, at, "02_scaffold_dirs"));
      met.add(`${report.outcome} ${report.error?.id ?? ""}`);
      done =
        report.outcome === "changed" && report.findings.every((one) => one.id !== "log-unwritable");
      if (report.outcome !== "changed") expectWhole(disk, at, report);
      await disk.inside("rm", "-rf", ballast);
      await expectRecovery(disk, at);
    }
  });
  expect([...met].some((one) => one.startsWith("blocked"))).toBe(true);
  expect([...met].some((one) => one.startsWith("rolled-back"))).toBe(true);
}

testUnless(needsRoot)(
  "no room for one more block, at each block",
  () =>
    sweep(
      "size=2m",
      120,
      'truncate -s 0 "$1"; avail=$(df -k --output=avail "$1" | tail -1); fallocate -l $(( (avail - $2 * 4) * 1024 )) "$1"',
    ),
  300_000,
);

testUnless(needsRoot)(
  "no room for one more file, at each file",
  () =>
    sweep(
      "size=8m,nr_inodes=300",
      150,
      'mkdir "$1"; free=$(df --output=iavail "$1" | tail -1); n=$(( free - $2 )); i=0; while [ $i -lt $n ]; do : > "$1/$i"; i=$((i+1)); done',
    ),
  300_000,
);

testUnless(needsRoot)("taking back on a full disk: done or refused, never half", async () => {
  await withDisk("size=2m", async (disk, at) => {
    expect((await run(disk, at, "02_scaffold_dirs")).code).toBe(0);
    const ballast = join(at.folder, "disk", "ballast");
    await disk.inside("sh", "-c", `dd if=/dev/zero of="$1" bs=4k 2>/dev/null || :`, "sh", ballast);
    const undone = documentOf(await run(disk, at, "02_scaffold_dirs", "--undo"));
    const config = disk.outside(join(at.home, "shared.cfg"));
    if (undone.outcome === "changed") expect(existsSync(config)).toBe(false);
    else expectWhole(disk, at, undone);
    await disk.inside("rm", ballast);
    await expectRecovery(disk, at);
  });
});

test("looking at a home takes no room at all", async () => {
  const at = freshHome();
  try {
    for (const script of ["00_check_structure", "02_scaffold_dirs", "01_host_inventory"]) {
      for (const flag of ["--plan", "--verify"]) await runName(COMPILED, script, [flag], at);
    }
    expect(readdirSync(at.folder)).toEqual([]);
  } finally {
    at.dispose();
  }
});
