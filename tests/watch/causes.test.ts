/** Which failures of the gateway send it back a release: only those of which the release itself is the cause. */
import { expect, test } from "bun:test";
import type { Decision } from "../../lib/watch/decide.ts";
import { Watching } from "./looks.ts";

const MINUTE = 60_000;
const rungs = (made: readonly Decision[]): readonly string[] =>
  made.flatMap(({ deeds }) => deeds.map((d) => d.rung));

/** A watcher that has seen its host well for a while. */
function settled(): Watching {
  const watching = new Watching();
  watching.for(MINUTE);
  return watching;
}

test.each("gateway-config certificate locked port-taken disk-full disk-error read-only".split(" "))(
  "a gateway that suffers from what no other program cures (%s) is given up without another release",
  (cause) => {
    const watching = settled();
    const gateway = { state: "down", why: "it ended", cause } as const;
    const services = { engine: { state: "up" }, gateway } as const;
    const sick = { services, canGoBack: ["gateway"] } as const;
    expect(rungs(watching.for(20 * MINUTE, sick))).not.toContain("previous");
    expect(watching.state?.halted).toMatchObject([{ id: "gateway" }]);
  },
);

test("a gateway that meets a read-only place on a disk that can be written goes back: its own sandbox refuses that place", () => {
  const gateway = { state: "down", why: "it ended", cause: "read-only" } as const;
  const services = { engine: { state: "up" }, gateway } as const;
  const space = { free: 2 ** 40, total: 2 ** 41, inodesFree: 1e6, inodes: 2e6 };
  for (const readOnly of [false, true]) {
    const host = { gpus: [], slowLinks: [], disk: { ...space, readOnly } };
    const watching = settled();
    const made = watching.for(20 * MINUTE, { services, host, canGoBack: ["gateway"] });
    const restarts = ["restart", "restart", "restart"];
    expect(rungs(made)).toEqual(readOnly ? restarts : [...restarts, "previous"]);
    expect(watching.state?.halted).toMatchObject([{ id: "gateway" }]);
  }
});
