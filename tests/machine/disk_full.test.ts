/** A disk that is full: the error names the file, its file system, and a command that can be typed. */
import { afterEach, expect, test } from "bun:test";
import { readable, ShelterError } from "../../lib/errors.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";

let world: FakeWorld;
afterEach(() => world.dispose());

test.each(["appendLine", "appendText"] as const)("%s says where there was no room", (how) => {
  const file = `${FAKE_HOME}/logs/x.log`;
  // every write to /dev/full is answered like that (full(4))
  world = fakeMachine({ files: { [file]: { link: "/dev/full" } } });
  const act = createAct(world.machine, createProbe(world.machine, FAKE_HOME, "testhost"));
  let said: unknown;
  try {
    act[how](file, "more");
  } catch (error) {
    said = readable(error);
  }
  expect(said).toBeInstanceOf(ShelterError);
  const { id, what, why, fix } = said as ShelterError;
  expect(id).toBe("disk-full");
  expect(what).toEndWith(` ${file}`);
  expect(why).toBe(`the disk is full: the file system of ${FAKE_HOME}/logs`);
  expect(fix).toEqual(["df", "-h", `${FAKE_HOME}/logs`]);
});
