/** What the watcher's eyes see of generations: what could be gone back to, and what was gone back from. */
import { afterEach, expect, test } from "bun:test";
import { createProbe } from "../../lib/machine/probe.ts";
import { GIVEN_UP, releaseProgram, TOP } from "../../lib/services/places.ts";
import { generations } from "../../lib/watch/eyes.ts";
import { FAKE_HOME, fakeMachine, type FakeFile, type FakeWorld } from "../support/fake_machine.ts";

const [RELEASE, BEFORE] = ["a".repeat(16), "b".repeat(16)];
const UNIT = "/etc/systemd/system";

const made: FakeWorld[] = [];
afterEach(() => {
  for (const one of made.splice(0)) one.dispose();
});
function seen(files: Readonly<Record<string, FakeFile>>) {
  const world = fakeMachine({ files });
  made.push(world);
  return generations(createProbe(world.machine, FAKE_HOME, "testhost"));
}
const releases = (serving: string): Record<string, FakeFile> => ({
  [releaseProgram(RELEASE)]: "new",
  [releaseProgram(BEFORE)]: "old",
  [`${TOP}/current`]: { link: `live/${RELEASE}` },
  [`${TOP}/live/${RELEASE}`]: { link: `../${serving}` },
  [`${TOP}/before`]: { link: BEFORE },
});
const engine = {
  [`${UNIT}/shelter-engine.service`]:
    "[Service]\nExecStart=/x engine run --build b-aaaaaaaaaaaa --before b-bbbbbbbbbbbb\n",
};

test("each service has its own to go back to", () => {
  expect(seen({})).toEqual({ canGoBack: [] });
  expect(seen(engine)).toEqual({ canGoBack: ["engine"] });
  expect(seen(releases(RELEASE))).toEqual({ canGoBack: ["gateway"] });
  expect(seen({ ...engine, ...releases(RELEASE) })).toEqual({ canGoBack: ["engine", "gateway"] });
});

test("what was gone back to is no way back any more", () => {
  expect(seen({ ...engine, [GIVEN_UP]: "b-aaaaaaaaaaaa\n" })).toEqual({ canGoBack: [] });
  const watcher = {
    [`${UNIT}/shelter-watch.service`]: "[Service]\nExecStart=/x/shelter 06_shadow_control run\n",
  };
  expect(seen({ ...releases(BEFORE), ...watcher })).toEqual({
    canGoBack: [],
    gaveUp: { release: RELEASE, serving: BEFORE, fix: ["sudo", "./bin/06_shadow_control"] },
  });
});

test("a release whose program is gone, or that is the installed one itself, is none to go back to", () => {
  const { [releaseProgram(BEFORE)]: _, ...gone } = releases(RELEASE);
  expect(seen(gone)).toEqual({ canGoBack: [] });
  expect(seen({ ...releases(RELEASE), [`${TOP}/before`]: { link: RELEASE } })).toEqual({
    canGoBack: [],
  });
});
