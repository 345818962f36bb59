/** The roster against the units. */
import { expect, test } from "bun:test";
import { ROSTER } from "../../lib/roster.ts";
import { SHELTER_ID } from "../../lib/orchestra/names.ts";
import { UNITS } from "../../scripts/table.ts";

test("the roster says of each unit what the unit says of itself", async () => {
  for (const row of ROSTER) {
    const unit = (await UNITS[row.id]?.())?.unit;
    if (row.id !== SHELTER_ID) expect([row.id, unit !== undefined]).toEqual([row.id, row.built]);
    if (!unit) continue;
    expect([unit.id, unit.flag, unit.summary, unit.staleAfter]).toEqual([
      row.id,
      row.flag,
      row.summary,
      row.staleAfter,
    ]);
  }
});
