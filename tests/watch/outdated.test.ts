/** A gateway that goes by an older document than this host would have. */
import { expect, test } from "bun:test";
import { Watching } from "./looks.ts";

test("a gateway that goes by an older document is left to serve, and the person is told why", () => {
  const watching = new Watching();
  const gateway = { state: "up", outdated: "shared.cfg is damaged: line 2" } as const;
  const made = watching.for(60_000, { services: { engine: { state: "up" }, gateway } });
  expect(made.flatMap(({ deeds }) => deeds)).toEqual([]);
  expect(watching.state?.alerts).toMatchObject([
    {
      id: "gateway-outdated",
      level: "warn",
      what: "the gateway serves by an older document: shared.cfg is damaged: line 2",
      fix: ["./bin/00_check_structure", "--plan"],
    },
  ]);
});
