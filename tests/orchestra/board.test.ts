/** Where each script stands, from its status and the journal. */
import { describe, expect, test } from "bun:test";
import { boardOf, nextOf, type BoardRow } from "../../lib/orchestra/board.ts";
import { STAGES } from "../../lib/orchestra/stages.ts";
import { ROSTER } from "../../lib/roster.ts";
import type { Entry } from "../../lib/keep/journal.ts";
import type { DamagedStatus, Status } from "../../lib/keep/status.ts";
import type { Outcome, ScriptId } from "../../lib/unit.ts";

const NOW = Date.parse("2026-06-01T12:00:00.000Z");
const HOUR = 3_600_000;

function status(script: ScriptId, outcome: Outcome, ago: number): Status {
  const flag = ROSTER.find((row) => row.id === script)?.flag ?? "";
  const at = new Date(NOW - ago).toISOString();
  return {
    schema: 1,
    flag,
    script,
    host: "h",
    outcome,
    at,
    took_ms: 5,
    fingerprint: "f",
    facts: null,
    journal: { index: 0 },
  };
}
function begin(run: string, script: ScriptId, undoes?: string): Entry {
  return {
    schema: 1,
    index: 0,
    at: "2026-06-01T00:00:00.000Z",
    run,
    script,
    kind: "begin",
    steps: [],
    ...(undoes === undefined ? {} : { undoes }),
  };
}
function end(run: string, script: ScriptId, outcome: Outcome, ago: number, why?: string): Entry {
  return {
    schema: 1,
    index: 0,
    at: new Date(NOW - ago).toISOString(),
    run,
    script,
    kind: "end",
    outcome,
    took_ms: 1,
    steps: 1,
    log_sha256: "",
    flag: "",
    fingerprint: "",
    facts: null,
    ...(why === undefined ? {} : { because: "x", why }),
  };
}
function board(
  statuses: readonly (Status | readonly [ScriptId, DamagedStatus])[],
  entries: readonly Entry[] = [],
): (script: ScriptId) => BoardRow {
  const byFlag = new Map<string, Status | DamagedStatus>();
  for (const one of statuses) {
    if ("schema" in one) byFlag.set(one.flag, one);
    else byFlag.set(ROSTER.find((row) => row.id === one[0])?.flag ?? "", one[1]);
  }
  const rows = boardOf((flag) => byFlag.get(flag), entries, NOW);
  return (script) => {
    const row = rows.find((one) => one.script === script);
    if (!row) throw new Error(`no row of ${script}`);
    return row;
  };
}

describe("the board", () => {
  test("has each of the 21 scripts, in running order, and says what is not part of this build", () => {
    const rows = boardOf(() => undefined, [], NOW);
    expect(rows.map((row) => row.script)).toEqual(ROSTER.map((row) => row.id));
    for (const row of rows) {
      const { built } = ROSTER.find((one) => one.id === row.script) ?? { built: false };
      expect(row.standing).toBe(built ? "open" : "absent");
      expect(row.fix !== undefined).toBe(built);
    }
  });

  test("a good run is done, a bad one failed with its reason", () => {
    expect(board([status("02_scaffold_dirs", "changed", HOUR)])("02_scaffold_dirs").standing).toBe(
      "done",
    );
    expect(
      board([status("02_scaffold_dirs", "converged", HOUR)])("02_scaffold_dirs").standing,
    ).toBe("done");
    const failed = board(
      [status("03_build_llama_cpp", "rolled-back", HOUR)],
      [end("r", "03_build_llama_cpp", "rolled-back", HOUR, "the compiler ended with 1")],
    )("03_build_llama_cpp");
    expect([failed.standing, failed.why]).toEqual(["failed", "the compiler ended with 1"]);
  });

  test("a damaged status file is failed, says why, and points at who repairs it", () => {
    const row = board([["03_install_models", { damaged: "line 1 is no JSON" }]])(
      "03_install_models",
    );
    expect(row.standing).toBe("failed");
    expect(row.why).toContain("line 1 is no JSON");
    expect(row.fix).toEqual(["./bin/00_check_structure"]);
  });

  test("what was taken back is open again, until it runs anew", () => {
    const undone = [
      end("a", "02_scaffold_dirs", "changed", 3 * HOUR),
      begin("b", "02_scaffold_dirs", "a"),
      end("b", "02_scaffold_dirs", "changed", 2 * HOUR),
    ];
    const statuses = [status("02_scaffold_dirs", "changed", 2 * HOUR)];
    expect(board(statuses, undone)("02_scaffold_dirs").standing).toBe("open");
    const anew = [
      ...undone,
      begin("c", "02_scaffold_dirs"),
      end("c", "02_scaffold_dirs", "changed", HOUR),
    ];
    expect(board(statuses, anew)("02_scaffold_dirs").standing).toBe("done");
  });

  test("older than its own limit is stale", () => {
    const limit = ROSTER.find((row) => row.id === "00_check_structure")?.staleAfter;
    if (limit === undefined) throw new Error("00_check_structure has no limit");
    expect(
      board([status("00_check_structure", "converged", limit - 1)])("00_check_structure").standing,
    ).toBe("done");
    expect(
      board([status("00_check_structure", "converged", limit + 1)])("00_check_structure").standing,
    ).toBe("stale");
  });

  test("a benchmark is stale once another build is live or another model is there", () => {
    const with_ = (live: string, models: readonly string[]) =>
      board([
        {
          ...status("04_llm_benchmark", "changed", HOUR),
          facts: { build: "b-1", models: [{ name: "small" }] },
        },
        { ...status("03_build_llama_cpp", "changed", 2 * HOUR), facts: { live } },
        {
          ...status("03_install_models", "changed", 2 * HOUR),
          facts: { models: models.map((name) => ({ name })) },
        },
      ])("04_llm_benchmark");
    expect(with_("b-1", ["small"]).standing).toBe("done");
    expect(with_("b-1", []).standing).toBe("done");
    expect([with_("b-2", ["small"]).standing, with_("b-2", ["small"]).why]).toEqual([
      "stale",
      "it measured b-1, and b-2 is live now",
    ]);
    expect(with_("b-1", ["small", "large"]).why).toBe("large was installed since");
    expect(board([status("04_llm_benchmark", "changed", HOUR)])("04_llm_benchmark").standing).toBe(
      "done",
    );
  });

  test("a time in the future is stale, a minute of it is not", () => {
    expect(board([status("02_scaffold_dirs", "changed", -HOUR)])("02_scaffold_dirs").why).toContain(
      "future",
    );
    expect(
      board([status("02_scaffold_dirs", "changed", -30_000)])("02_scaffold_dirs").standing,
    ).toBe("done");
  });
});

test("next is the first that does not stand, never one that is not part of this build", () => {
  const every = ROSTER.filter((row) => row.built).map((row) => status(row.id, "converged", 0));
  const rows = (statuses: readonly Status[]) =>
    boardOf((flag) => statuses.find((one) => one.flag === flag), [], NOW);
  expect(nextOf(rows(every))).toBeUndefined();
  expect(nextOf(rows([]))?.script).toBe("00_check_structure");
  const missing = every.filter((one) => one.script !== "03_install_models");
  expect(nextOf(rows(missing))?.script).toBe("03_install_models");
  expect(nextOf(rows(missing), ["03_install_models"])).toBeUndefined();
});

test("next is never what up does not run, unless it was run and does not stand", () => {
  const stages = STAGES.map(({ script }) => status(script, "converged", 0));
  const rows = (...more: readonly Status[]) =>
    boardOf((flag) => [...stages, ...more].find((one) => one.flag === flag), [], NOW);
  expect(nextOf(rows())).toBeUndefined();
  expect(nextOf(rows(status("06_shadow_control", "rolled-back", 0)))?.script).toBe(
    "06_shadow_control",
  );
});

describe("the other kind of host's watcher", () => {
  const WATCHERS = { phantom: "06_phantom_watchdog", shadow: "06_shadow_control" } as const;
  const row = (all: readonly BoardRow[], script: ScriptId) =>
    all.find((one) => one.script === script);
  const kinds = [
    ["phantom", "shadow"],
    ["shadow", "phantom"],
  ] as const;

  test.each(kinds)("is none of a host of %s's kind, run or not", (own, other) => {
    for (const before of [undefined, "blocked", "changed"] as const) {
      const one = before && status(WATCHERS[other], before, 0);
      const all = boardOf((flag) => (flag === one?.flag ? one : undefined), [], NOW, own);
      expect(row(all, WATCHERS[other])).toEqual({
        script: WATCHERS[other],
        summary: expect.any(String),
        standing: "elsewhere",
        why: `this host's watcher is ${WATCHERS[own]}`,
      });
      expect(row(all, WATCHERS[own])).toMatchObject({
        standing: "open",
        fix: ["sudo", `./bin/${WATCHERS[own]}`],
      });
      expect(all.filter((each) => each.standing === "elsewhere")).toHaveLength(1);
    }
  });

  test("is never next, however it ended", () => {
    const stages = STAGES.map(({ script }) => status(script, "converged", 0));
    const failed = status("06_shadow_control", "rolled-back", 0);
    const statusOf = (flag: string) => [...stages, failed].find((one) => one.flag === flag);
    expect(nextOf(boardOf(statusOf, [], NOW, "shadow"))?.script).toBe("06_shadow_control");
    expect(nextOf(boardOf(statusOf, [], NOW, "phantom"))).toBeUndefined();
  });

  test("is known by what it found itself where shared.cfg does not tell", () => {
    const rows = (script: ScriptId, kind: string) => {
      const one = { ...status(script, "blocked", 0), facts: { kind } };
      return boardOf((flag) => (flag === one.flag ? one : undefined), [], NOW);
    };
    const other = row(rows("06_phantom_watchdog", "shadow"), "06_phantom_watchdog");
    expect([other?.standing, other?.fix]).toEqual(["elsewhere", undefined]);
    const own = row(rows("06_shadow_control", "shadow"), "06_shadow_control");
    expect([own?.standing, own?.fix]).toEqual(["failed", ["sudo", "./bin/06_shadow_control"]]);
  });
});
