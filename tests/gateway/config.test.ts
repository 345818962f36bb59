/** The gateway's document: whatever stands in it is read or refused by name. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseGatewayConfig } from "../../lib/gateway/config.ts";

const GOOD = {
  schema: 1,
  host: "shadow",
  listen: { address: "127.0.0.1", port: 8080, keyFile: "/k" },
  pairing: { cert: "/c", key: "/k", ca: "/a" },
  peers: { address: "10.0.0.1", port: 8443, allow: ["ab".repeat(32)] },
  engines: [
    { name: "shadow", kind: "local", url: "http://127.0.0.1:8081", keyFile: "/e", slots: 2 },
    {
      name: "phantom",
      kind: "peer",
      url: "https://10.0.0.2:8443",
      fingerprint: "AB:".repeat(31) + "CD",
    },
  ],
  models: [{ name: "m", on: { shadow: { name: "x" } } }],
  limits: { queue: 3 },
};
const config = (change: Record<string, unknown>) => () =>
  parseGatewayConfig(JSON.stringify({ ...GOOD, ...change }), "/g.json");

test("the document is read, and what is wrong in it is named", () => {
  expect(config({})()).toMatchObject({ ...GOOD, limits: { queue: 3 } });
  const wrong: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ schema: 2 }, "schema"],
    [{ host: "-x" }, "host"],
    [{ listen: { ...GOOD.listen, address: "0.0.0.0" } }, "listen.address"],
    [{ listen: { ...GOOD.listen, keyFile: "key" } }, "listen.keyFile"],
    [{ listen: { ...GOOD.listen, port: 70_000 } }, "listen.port"],
    [{ engines: [] }, "engines"],
    [{ engines: [GOOD.engines[0], GOOD.engines[0]] }, "two engines"],
    [{ engines: [{ ...GOOD.engines[0], url: "http://10.0.0.9:1" }] }, "engines[0].url"],
    [{ engines: [{ ...GOOD.engines[1], url: "http://10.0.0.9:1" }] }, "engines[0].url"],
    [{ engines: [{ ...GOOD.engines[1], fingerprint: "ab" }] }, "engines[0].fingerprint"],
    [{ engines: [{ ...GOOD.engines[0], slots: 0 }] }, "engines[0].slots"],
    [{ pairing: undefined }, "pairing"],
    [{ peers: { ...GOOD.peers, allow: ["x"] } }, "peers.allow[0]"],
    [{ models: [{ name: "m", on: { nobody: { name: "x" } } }] }, "nobody"],
    [{ models: [{ name: "m\u001b", on: {} }] }, "models[0].name"],
    [{ limits: { queue: -1 } }, "limits.queue"],
    [{ limits: { que: 1 } }, "limits.que"],
    [{ warm: "yes" }, "warm"],
  ];
  for (const [change, named] of wrong) {
    expect(config(change)).toThrow(
      expect.objectContaining({ id: "gateway-config", why: expect.stringContaining(named) }),
    );
  }
  expect(() => parseGatewayConfig("{", "/g.json")).toThrow(
    expect.objectContaining({ id: "gateway-config" }),
  );
});

test("any document is read or refused, and never anything else", () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(...Object.keys(GOOD)), (text, key) => {
      try {
        config({ [key]: JSON.parse(text) })();
      } catch (error) {
        expect(error).toMatchObject({ id: "gateway-config" });
      }
    }),
  );
});
