/** Which of the two machines this is, by what its firmware says: phantom, shadow, or a plain host. */
import type { Stable } from "./document.ts";
import { valueOf } from "./known.ts";

/** The machine's own words that decide. */
type Named = Pick<Stable["machine"], "vendor" | "product" | "family">;

/**
 * phantom is a Samsung Galaxy Book2 Pro (recorded: product 950XED, family "Galaxy Book2 Pro"), shadow an Acer Aspire VX 15 (recorded: product
 * "Aspire VX5-591G", family "Aspire VX 15"). Recordings: tests/fixtures/hardware/SOURCE.md.
 */
export function profileOf(machine: Named): Stable["machine"]["profile"] {
  const vendor = valueOf(machine.vendor) ?? "";
  const product = valueOf(machine.product) ?? "";
  const family = valueOf(machine.family) ?? "";
  if (
    /samsung/i.test(vendor) &&
    (/^9[35]0XED\b/.test(product) || /galaxy ?book ?2 pro/i.test(family))
  ) {
    return "phantom";
  }
  if (/acer/i.test(vendor) && (/\bVX5-591/i.test(product) || /aspire vx ?15/i.test(family))) {
    return "shadow";
  }
  return "plain";
}
