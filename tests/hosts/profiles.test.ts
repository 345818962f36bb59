import { expect, test } from "bun:test";
import { profileOf } from "../../lib/hosts/profiles.ts";

test("phantom and shadow are recognised by what their firmware says, and nothing else is", () => {
  const samsung = "SAMSUNG ELECTRONICS CO., LTD.";
  // vendor string as recorded in joshuagrisham/samsung-galaxybook-extras issues 69 and 82
  expect(profileOf({ vendor: samsung, product: "950XED", family: "Galaxy Book2 Pro" }).name).toBe(
    "phantom",
  );
  expect(profileOf({ vendor: samsung, product: "930XED" }).name).toBe("phantom");
  expect(profileOf({ vendor: "Acer", product: "Aspire VX5-591G" }).name).toBe("shadow");
  expect(profileOf({ vendor: samsung, product: "940XHA", family: "Galaxy Book5 Pro" }).name).toBe(
    "plain",
  );
  expect(profileOf({ vendor: "Acer", product: "Aspire A515-51G" }).name).toBe("plain");
  expect(profileOf({ vendor: "QEMU", product: "950XED" }).name).toBe("plain");
  expect(profileOf({}).name).toBe("plain");
});
