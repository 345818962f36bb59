/** What `up` leaves to the operator: nothing that could not be done. */
import { expect, test } from "bun:test";
import { createProbe } from "../../lib/machine/probe.ts";
import { openLines } from "../../lib/orchestra/up.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { needsRoot, testUnless } from "../support/left_out.ts";

const keep = keptForEachTest();

/** The line about the services in a home of `uid`. */
async function services(uid: number): Promise<string> {
  const { machine } = keep(fakeMachine({ files: { [FAKE_HOME]: { folder: true, uid } } }));
  const probe = createProbe(machine, FAKE_HOME, "phantom");
  const lines = await openLines({ probe, place: { home: FAKE_HOME, host: "phantom" } });
  return lines.find((line) => line.includes("06_phantom_watchdog")) ?? "";
}

testUnless(needsRoot)("services can't be had in a home of root's, and that is said", async () => {
  expect(await services(0)).toContain("as another user (adduser shelter)");
  expect(await services(0)).not.toContain("sudo ./bin/06_phantom_watchdog");
  expect(await services(54_321)).toContain("sudo ./bin/06_phantom_watchdog");
});

test("the one for the other kind of host is not among them", async () => {
  const { machine } = keep(fakeMachine({ files: { [FAKE_HOME]: { folder: true } } }));
  const probe = createProbe(machine, FAKE_HOME, "phantom");
  const lines = await openLines({ probe, place: { home: FAKE_HOME, host: "phantom" } });
  expect(lines.join("\n")).not.toContain("06_shadow_control");
});
