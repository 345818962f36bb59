/** The table of features and tools. */
import { expect, test } from "bun:test";
import { FEATURES } from "../../lib/prereqs/features.ts";

test("the table is sound: names are unique where they must be, and every package could be given to apt", () => {
  for (const { id, tools } of FEATURES) {
    expect([id, new Set(tools.map((tool) => tool.id)).size]).toEqual([id, tools.length]);
    for (const tool of tools) {
      for (const name of tool.packages) expect(name).toMatch(/^[a-z0-9][a-z0-9+.-]+$/);
      expect(tool.packages.length).toBeGreaterThan(0);
      const same = FEATURES.flatMap((feature) => feature.tools).filter(
        (other) => other.id === tool.id,
      );
      for (const other of same) expect(other.sign).toEqual(tool.sign);
    }
  }
});
