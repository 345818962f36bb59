/** A governor that is changed while the engine serves: set again, a few times, and only where that helps. */
import { expect, test } from "bun:test";
import { WELL } from "../../lib/watch/backoff.ts";
import { type Decision, deedText } from "../../lib/watch/decide.ts";
import { SLOW_FOR } from "../../lib/watch/governor.ts";
import type { Deed } from "../../lib/watch/ladder.ts";
import { isMemory, type Memory } from "../../lib/watch/memory.ts";
import { engine, TICK, Watching } from "./looks.ts";

const MINUTE = 60_000;
const rungs = (made: readonly Decision[]) =>
  made.flatMap(({ deeds }) => deeds.map(({ rung }) => rung));

/** A watcher that has seen its host well for a while. */
function settled(): Watching {
  const watching = new Watching();
  watching.for(MINUTE);
  return watching;
}

const host = (governor: string | undefined, onBattery?: boolean) => ({
  host: {
    gpus: [],
    slowLinks: [],
    ...(governor === undefined ? {} : { governor }),
    ...(onBattery === undefined ? {} : { onBattery }),
  },
});

test("is set again after a minute, once for each change", () => {
  const watching = settled();
  watching.for(MINUTE, host("performance"));
  expect(rungs(watching.for(SLOW_FOR - TICK, host("powersave")))).toEqual([]);
  const made = watching.for(30_000, host("powersave"));
  expect(made.flatMap(({ deeds }) => deeds)).toMatchObject([
    { target: "engine", rung: "governor", attempt: 1 },
  ]);
  expect(deedText(made.flatMap(({ deeds }) => deeds)[0] as Deed)).toBe(
    'set the governor to "performance" again, because it was changed to "powersave" while the engine serves',
  );
  expect(rungs(watching.for(2 * WELL, host("performance")))).toEqual([]);
  const again = watching.for(30_000 + SLOW_FOR, host("powersave"));
  expect(again.flatMap(({ deeds }) => deeds)).toMatchObject([{ attempt: 1 }]);
});

test("and changed back each time is left after three acts, which the person is told", () => {
  const watching = settled();
  const made = watching.for(60 * MINUTE, host("powersave"));
  expect(rungs(made)).toEqual(["governor", "governor", "governor"]);
  expect(made.flatMap(({ notices }) => notices)).toMatchObject([
    { alert: { id: "governor", level: "warn", fix: expect.arrayContaining(["tlp"]) } },
  ]);
  watching.look({ ...host("powersave"), again: true });
  expect(rungs(watching.for(5 * MINUTE, host("powersave")))).toContain("governor");
});

test("is let be on battery, without an engine that serves, where there is none, and while the engine is acted on", () => {
  const still = [
    host("powersave", true),
    host(undefined),
    host("performance"),
    { ...host("powersave"), ...engine({ state: "starting" }) },
    { ...host("powersave"), ...engine({ state: "stopped", why: "by hand" }) },
    { ...host("powersave"), acting: ["engine"] },
  ] as const;
  for (const over of still) expect(rungs(settled().for(9 * MINUTE, over))).toEqual([]);
  const mains = settled();
  expect(rungs(mains.for(5 * MINUTE, host("powersave", false)))).toContain("governor");
});

test("is remembered across a restart of the watcher, and an odd memory of it is none", () => {
  const watching = settled();
  watching.for(3 * MINUTE, host("powersave"));
  const { memory } = watching.state as { memory: Memory };
  expect(memory.governor?.tries).toBe(2);
  expect(isMemory(memory)).toBe(true);
  for (const [key, value] of Object.entries({ tries: -1, acts: ["x"], slowSince: "now" })) {
    const odd = { ...memory, governor: { ...memory.governor, [key]: value } };
    expect(isMemory(odd)).toBe(false);
  }
  const { governor: _, ...older } = memory;
  expect(isMemory(older)).toBe(true);
});
