/** What a stranger may say of itself: everything odd is refused with its field, and nothing throws but a clear error. */
import fc from "fast-check";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { ShelterError } from "../../lib/errors.ts";
import { expiryOf, fingerprintOf, madeOf, OFFER_LIMIT, parseOffer } from "../../lib/trust/offer.ts";

const folder = mkdtempSync(join(tmpdir(), "shelter-offer-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const made = Bun.spawnSync([
  ...[
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-batch",
  ],
  ...[
    "-subj",
    "/CN=shadow",
    "-days",
    "10",
    "-keyout",
    join(folder, "key"),
    "-out",
    join(folder, "crt"),
  ],
]);
const certificate = made.success ? readFileSync(join(folder, "crt"), "utf8") : "";
const key = (seed: string) => `ssh-ed25519 ${seed.repeat(68)}`;
const GOOD = {
  schema: 1,
  name: "shadow",
  address: "192.0.2.2",
  port: 22,
  user: "op",
  home: "/home/op/a höme",
  hostKeys: [key("h")],
  keys: { mirror: key("m"), witness: key("w"), operator: key("o"), signing: key("s") },
  certificate,
};
const read = (change: object) => parseOffer(JSON.stringify({ ...GOOD, ...change }), "shadow");

test("a whole offer is read as it is, and nothing more is kept", () => {
  expect(read({ more: "things" })).toEqual(GOOD as never);
  expect(fingerprintOf(certificate)).toMatch(/^[0-9a-f]{64}$/);
  expect(Math.round((expiryOf(certificate) - madeOf(certificate)) / 86_400_000)).toBe(10);
});

test("each field that is not of its form is refused by name", () => {
  const wrong: readonly (readonly [object, string])[] = [
    [{ schema: 2 }, "schema"],
    [{ name: "../etc" }, "name"],
    [{ name: "rescue" }, "rescue"],
    [{ address: "-oProxyCommand=id" }, "address"],
    [{ port: 0 }, "port"],
    [{ port: "22" }, "port"],
    [{ user: "op; id" }, "user"],
    [{ home: "relative" }, "home"],
    [{ home: "/a\nb" }, "home"],
    [{ hostKeys: [] }, "host keys"],
    [{ hostKeys: ['command="id" ssh-ed25519 AAAA'] }, "host key"],
    [{ keys: { ...GOOD.keys, mirror: `${key("m")} from="*"` } }, "mirror"],
    [{ keys: { ...GOOD.keys, operator: `${key("o")}\n${key("x")}` } }, "operator"],
    [{ certificate: "none" }, ""],
  ];
  for (const [change, field] of wrong) {
    expect(() => read(change)).toThrow(ShelterError);
    expect(() => read(change)).toThrow(field);
  }
  expect(() => parseOffer(" ".repeat(OFFER_LIMIT + 1), "shadow")).toThrow("longer");
});

test("no text at all makes it throw anything but a clear error", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), fc.constant("null")), (text) => {
      try {
        parseOffer(text, "shadow");
      } catch (error) {
        expect(error).toBeInstanceOf(ShelterError);
      }
    }),
  );
});
