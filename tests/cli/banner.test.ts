/** The watcher's word at the head of a command. */
import { expect, test } from "bun:test";
import { bannerLines } from "../../lib/cli/banner.ts";
import { watchLines } from "../../lib/orchestra/watch_lines.ts";
import type { Alert, WatchState } from "../../lib/watch/state.ts";

const AT = "2026-02-01T10:00:00.000Z";
const NOW = Date.parse("2026-02-01T10:05:00.000Z");
const alert = (
  id: string,
  level: Alert["level"],
  count = 1,
  what = `${id} is not well`,
): Alert => ({
  ...{ id, level, since: AT, count, what },
  fix: ["./bin/shelter", "status"],
});
const say = (alerts: readonly Alert[], stale = false, installed = true) =>
  bannerLines({ at: AT, alerts }, stale, installed, NOW, (_, text) => text);

test("nothing where all is well, or where only the watcher's asides stand", () => {
  expect(say([])).toEqual([]);
  expect(say([alert("lid", "info")])).toEqual([]);
});

test("the gravest first, how long and how often, the fix, and how many more: two lines at most", () => {
  expect(say([alert("disk", "warn"), alert("engine", "fail", 3), alert("clock", "warn")])).toEqual([
    "! engine is not well (for 5 min 00 s, 3 times of late)  ./bin/shelter status",
    "  and 2 more: ./bin/shelter status",
  ]);
});

test("a watcher that fell silent is missed where it is installed", () => {
  expect(say([alert("engine", "fail")], true)).toEqual([
    "! The watcher has said nothing for 5 min 00 s: ./bin/shelter status",
  ]);
  expect(say([alert("engine", "fail")], true, false)).toEqual([]);
});

test("what an alert says can't drive the terminal, here or in status", () => {
  const nasty = alert("x", "fail", 1, "\u001b[2Jgone\nnext");
  const banner = say([nasty]).join("");
  expect([banner.includes("\u001b"), banner.includes("\n")]).toEqual([false, false]);
  const service = { state: "down", since: AT, restarts: 2, why: "\u001b[31m" } as const;
  const state: WatchState = {
    ...{ schema: 1, host: "h", at: new Date(NOW).toISOString(), boot: "b", since: AT },
    ...{ engine: service, gateway: service, others: [], mirror: {}, power: {}, health: [] },
    ...{ alerts: [nasty], halted: [{ id: "engine", why: "\u001b[1m", since: AT }] },
  };
  const lines = watchLines(state, NOW);
  expect(lines.join("\n")).not.toContain("\u001b");
  expect(lines[0]).toContain("engine down");
  expect(lines[0]).toContain("acted on 2 times");
  expect(watchLines({ ...state, at: AT }, NOW)[0]).toContain("has said nothing for 5 min");
  // it ended well a moment ago: what it saw last is no longer so
  expect(watchLines({ ...state, ended: AT }, NOW)).toHaveLength(1);
  expect(watchLines({ ...state, ended: AT }, NOW)[0]).toContain("was stopped 5 min");
});
