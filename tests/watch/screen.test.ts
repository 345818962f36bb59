/** The picture of `shelter watch`: it fits, has one accent, and nothing that a host says can reach the terminal. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { NOIR, painter } from "../../lib/report/palette.ts";
import { width } from "../../lib/report/text.ts";
import { screen, type HostView } from "../../lib/watch/screen.ts";
import type { WatchState } from "../../lib/watch/state.ts";
import { DOWN, engine, START, Watching } from "./looks.ts";

const paint = painter(true);
const plain = (_: string, text: string) => text;

function stateOf(name: string, over: Partial<WatchState> = {}): WatchState {
  const watching = new Watching();
  watching.for(10_000);
  return { ...(watching.state as WatchState), host: name, ...over };
}
const now = START + 110_000;

/** SGR codes and nothing else of a terminal's language. */
const SGR = new RegExp(String.raw`\u001b\[(?:38;2;\d+;\d+;\d+|39)m`, "g");

const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.constantFrom("\u001b[2J\u001b[H", "\u009b31m", "\r\nfake line", "‮evil", "宽".repeat(99)),
);
const level = fc.constantFrom("ok", "info", "warn", "fail", "unknown");
const view: fc.Arbitrary<HostView> = fc
  .record({
    name: hostile,
    reach: fc.constantFrom<HostView["reach"]>("here", "answers", "gone", "asked"),
    why: hostile,
    text: hostile,
    level,
    fix: fc.array(hostile, { maxLength: 3 }),
    watched: fc.boolean(),
  })
  .map(({ name, reach, why, text, level: grave, fix, watched }) => {
    const at = new Date(START).toISOString();
    const alert = { id: "x", level: "fail" as const, since: at, count: 2, what: text, fix };
    const health = [{ id: text, level: grave, what: text }] as WatchState["health"];
    const halted = [{ id: "engine" as const, why: text, since: at }];
    const down = { state: "down" as const, since: at, why: text, restarts: 3 };
    const watch = stateOf("any", { alerts: [alert], health, halted, engine: down });
    return { name, reach, why, ...(watched ? { watch } : {}) };
  });

test("whatever hosts say, every line fits, holds no control character, and one thing is the accent", () => {
  const accent = paint("accent_gold", "x").split("x")[0] ?? "";
  expect(accent).toContain("218;165;32"); // DAA520
  expect(NOIR.accent_gold).toBe("#DAA520");
  fc.assert(
    fc.property(
      fc.array(view, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 20, max: 220 }),
      (views, columns) => {
        const lines = screen(views, { columns, now, paint });
        for (const line of lines) {
          const text = line.replaceAll(SGR, "");
          expect(text).not.toMatch(/\p{Cc}|\p{Bidi_Control}/u);
          expect(width(text)).toBeLessThanOrEqual(columns);
        }
        expect(lines.join("\n").split(accent).length - 1).toBe(1);
      },
    ),
    { numRuns: 200 },
  );
});

test("two healthy hosts at 80 columns stand beside each other, and all is well", () => {
  const views: HostView[] = [
    { name: "phantom", reach: "here", watch: stateOf("phantom") },
    { name: "shadow", reach: "answers", clockOff: 0, watch: stateOf("shadow") },
  ];
  const lines = screen(views, { columns: 80, now, paint: plain });
  expect(lines[0]).toStartWith("All is well");
  expect(
    lines.some((line) => line.includes("phantom (this host)") && line.includes("shadow")),
  ).toBe(true);
  expect(lines.filter((line) => /● engine +up since .*● engine +up since/.test(line))).toHaveLength(
    1,
  );
  const narrow = screen(views, { columns: 60, now, paint: plain });
  expect(narrow.filter((line) => line.includes("● engine"))).toHaveLength(2);
});

test("a host that is gone says since when, and what it last said counts no more", () => {
  const sick = new Watching();
  sick.for(60_000);
  sick.for(60_000, engine(DOWN));
  const watch = { ...(sick.state as WatchState), host: "shadow" };
  const lastSeen = new Date(now - 300_000).toISOString();
  const gone = { name: "shadow", reach: "gone", lastSeen, why: "unreachable", watch } as const;
  const here = { name: "phantom", reach: "here", watch: stateOf("phantom") } as const;
  const text = screen([here, gone], { columns: 100, now, paint: plain }).join("\n");
  expect(text).toStartWith("shadow does not answer");
  expect(text).toContain("no, heard 5 min 00 s ago");
  expect(text).not.toContain("✗ engine");
  const alive = screen([here, { ...gone, reach: "answers" }], {
    columns: 100,
    now: Date.parse(watch.at),
    paint: plain,
  });
  expect(alive.join("\n")).toContain("1 alert");
});

test("a silent watcher and one that was stopped are no healthy host; a clock that is off does not make one silent", () => {
  const old = stateOf("phantom", { at: new Date(now - 120_000).toISOString() });
  const first = (watch: WatchState, clockOff = 0) =>
    screen([{ name: "phantom", reach: "here", watch, clockOff }], {
      columns: 80,
      now,
      paint: plain,
    })[0];
  expect(first(old)).toStartWith("phantom is not watched");
  expect(first(stateOf("phantom", { ended: new Date(now).toISOString() }))).toStartWith(
    "phantom is not watched",
  );
  expect(first(old, -120_000)).toStartWith("All is well");
});
