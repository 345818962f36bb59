/** authorized_keys and known_hosts: what is the operator's stays byte for byte, and a block can be taken out again. */
import fc from "fast-check";
import { expect, test } from "bun:test";
import type { Offer } from "../../lib/trust/offer.ts";
import { knownHosts, withPeerKeys } from "../../lib/trust/ssh_files.ts";

const key = (seed: string) => `ssh-ed25519 ${seed.repeat(68)}`;
const offer = (seed: string): Offer => ({
  schema: 1,
  name: "shadow",
  address: "192.0.2.2",
  port: 22,
  user: "op",
  home: "/home/op/.mountain_shelter",
  hostKeys: [key("h")],
  keys: { mirror: key(seed), witness: key("w"), operator: key("o"), signing: key("s") },
  certificate: "",
});
const PROGRAM = '/home/op/a shelter\'s "home"/bin/shelter';
const lines = fc
  .array(fc.stringMatching(/^[ -~]{0,40}$/), { maxLength: 6 })
  .map((all) => all.map((one) => `${one}\n`).join(""));

test("a peer's block comes, is renewed in its place and goes; the rest stays byte for byte", () => {
  fc.assert(
    fc.property(lines, (mine) => {
      const once = withPeerKeys(mine, "shadow", PROGRAM, offer("a"));
      expect(once.startsWith(mine)).toBe(true);
      const renewed = withPeerKeys(`${once}later\n`, "shadow", PROGRAM, offer("b"));
      expect(withPeerKeys(renewed, "shadow", PROGRAM)).toBe(`${mine}later\n`);
      expect(renewed.split("mountain-shelter shadow mirror").length).toBe(2);
      expect(withPeerKeys(once, "shadow", PROGRAM)).toBe(mine);
    }),
  );
});

test("two peers' blocks do not touch each other", () => {
  const both = withPeerKeys(
    withPeerKeys("", "shadow", PROGRAM, offer("a")),
    "phantom",
    PROGRAM,
    offer("b"),
  );
  expect(withPeerKeys(both, "shadow", PROGRAM)).toBe(
    withPeerKeys("", "phantom", PROGRAM, offer("b")),
  );
});

test("a last line without its end is not grown into", () => {
  expect(
    withPeerKeys("mine", "shadow", PROGRAM, offer("a")).startsWith(
      "mine\n# >>> mountain-shelter shadow >>>\n",
    ),
  ).toBe(true);
});

test("every login is restricted to one command, and the signing key is no login", () => {
  const block = withPeerKeys("", "shadow", "/home/op/bin/shelter", offer("a"))
    .split("\n")
    .filter((line) => line.includes("ssh-ed25519"));
  expect(
    block.map((line) => line.split(" mountain-shelter ")[0]?.split(" ssh-ed25519")[0]),
  ).toEqual(
    ["mirror", "witness", "operator"].map(
      (role) => `restrict,command="'/home/op/bin/shelter' peer ${role} shadow"`,
    ),
  );
});

test("known_hosts names a peer, not its address", () => {
  expect(knownHosts([offer("a")])).toBe(`shelter-shadow ${key("h")}\n`);
});
