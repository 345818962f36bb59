/** Which of the two watchers a host gets, by its name and by shared.cfg. */
import { expect, test } from "bun:test";
import { kindIn } from "../../lib/services/kind.ts";
import type { Probe } from "../../lib/machine/probe.ts";

/** A home whose shared.cfg says `text`; none where it is left out. */
function home(text?: string): Pick<Probe, "home" | "read"> {
  return {
    home: "/home/op/.mountain_shelter",
    read: () => (text === undefined ? { state: "absent" } : { state: "ok", text }),
  };
}

test("by its name, or by a role of that name in shared.cfg", async () => {
  const roles = (name: string) => `hosts:\n  ${name}:\n    roles: [shadow]\n`;
  expect(await kindIn(home(), "shadow")).toBe("shadow");
  expect(await kindIn(home(), "phantom")).toBe("phantom");
  expect(await kindIn(home(), "desk")).toBe("phantom");
  expect(await kindIn(home(roles("desk")), "desk")).toBe("shadow");
  expect(await kindIn(home(roles("desk")), "other")).toBe("phantom");
});

test("is not known where shared.cfg can't be used", async () => {
  expect(await kindIn(home("hosts: [\n"), "desk")).toBeUndefined();
});
