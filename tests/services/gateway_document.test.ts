/** The gateway's document from what a host is: what the gateway itself reads in it, whatever peers say. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { parseGatewayConfig } from "../../lib/gateway/config.ts";
import { DEFAULT_LIMITS } from "../../lib/gateway/limits.ts";
import { sameModel, wantedModel } from "../../lib/gateway/mapping.ts";
import {
  gatewayDocument,
  mayWrite,
  servedModels,
  type GatewayFacts,
  type PeerFacts,
} from "../../lib/services/gateway_document.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);
const FACTS: GatewayFacts = {
  host: "shadow",
  ports: { gateway: 8770, engine: 8771, peers: 8772 },
  address: "198.51.100.2",
  models: [{ name: "small", sha256: A }],
  slots: 3,
  peers: [],
  files: {
    key: "/h/gateway.key",
    engineKey: "/h/engine.key",
    certificate: "/h/gateway.crt",
    certificateKey: "/h/identity.key",
    peers: "/h/peers.pem",
  },
};
const phantom = (more: Partial<PeerFacts> = {}): PeerFacts => ({
  name: "phantom",
  address: "198.51.100.1",
  fingerprint: "0".repeat(64),
  ...more,
});
const read = (facts: GatewayFacts) => parseGatewayConfig(gatewayDocument(facts), "test");

describe("the document", () => {
  test("of a lone host has its own engine, and no door towards others", () => {
    const { listen, engines, models, peers, pairing, limits } = read(FACTS);
    expect(listen).toEqual({ address: "127.0.0.1", port: 8770, keyFile: "/h/gateway.key" });
    expect(engines).toEqual([
      {
        name: "shadow",
        kind: "local",
        url: "http://127.0.0.1:8771",
        keyFile: "/h/engine.key",
        slots: 3,
      },
    ]);
    expect(models).toEqual([{ name: "small", on: { shadow: { name: "small", sha256: A } } }]);
    expect([peers, pairing]).toEqual([undefined, undefined]);
    expect(limits).toEqual(DEFAULT_LIMITS);
  });

  test("of a paired host takes the paired certificate alone, at one address", () => {
    const { peers, pairing, engines } = read({ ...FACTS, peers: [phantom()] });
    expect(peers).toEqual({ address: "198.51.100.2", port: 8772, allow: ["0".repeat(64)] });
    expect(pairing).toEqual({ cert: "/h/gateway.crt", key: "/h/identity.key", ca: "/h/peers.pem" });
    expect(engines[1]).toMatchObject({
      kind: "peer",
      url: "https://198.51.100.1:8772",
      name: "phantom",
    });
  });

  test("without a way to the peer still serves this host's own clients, and asks the peer when there is one", () => {
    const config = read({ ...FACTS, address: undefined, peers: [phantom({ address: "fd00::1" })] });
    expect(config.peers).toBeUndefined();
    expect(config.engines[1]?.url).toBe("https://[fd00::1]:8772");
  });

  test("the same file has one name, a namesake of another file is told apart", () => {
    const same = read({ ...FACTS, peers: [phantom({ served: [{ name: "klein", sha256: A }] })] });
    const wanted = wantedModel(same.models, "small");
    expect(wanted.at("phantom")?.name).toBe("klein");
    expect(sameModel(wanted, "shadow", "phantom")).toBe(true);
    const other = read({ ...FACTS, peers: [phantom({ served: [{ name: "small", sha256: B }] })] });
    expect(sameModel(wantedModel(other.models, "small"), "shadow", "phantom")).toBe(false);
  });

  test("what only the peer has can be asked for here, too", () => {
    const { models } = read({
      ...FACTS,
      peers: [phantom({ served: [{ name: "large", sha256: B }] })],
    });
    expect(models.map(({ name, on }) => [name, Object.keys(on)])).toEqual([
      ["small", ["shadow"]],
      ["large", ["phantom"]],
    ]);
  });

  test("a peer that is silent keeps what it said last, and one that was forgotten is gone", () => {
    const heard = { ...FACTS, peers: [phantom({ served: [{ name: "klein", sha256: A }] })] };
    const before = gatewayDocument(heard);
    expect(gatewayDocument({ ...FACTS, peers: [phantom()], before })).toBe(before);
    expect(gatewayDocument({ ...FACTS, before })).toBe(gatewayDocument(FACTS));
  });

  test("what the operator set in it stays", () => {
    const ours = JSON.parse(gatewayDocument(FACTS)) as object;
    const before = JSON.stringify({ ...ours, limits: { queue: 7 }, warm: true });
    const { limits, warm } = read({ ...FACTS, before });
    expect([limits.queue, warm]).toEqual([7, true]);
  });
});

test("only what is ours, or nothing, is written over", () => {
  const ours = gatewayDocument(FACTS);
  for (const text of [undefined, "", "\n", ours, ours.slice(0, 60)]) {
    expect([text, mayWrite(text)]).toEqual([text, true]);
  }
  for (const text of ["{}", '{"schema":1}', "{ a typo of the operator's", "[]"]) {
    expect([text, mayWrite(text)]).toEqual([text, false]);
  }
});

test("whatever a peer says it serves, the document can be read and is no larger than a host", () => {
  fc.assert(
    fc.property(fc.anything(), (said) => {
      const served = servedModels(said);
      expect(served.length).toBeLessThanOrEqual(200);
      read({ ...FACTS, peers: [phantom({ served })] });
    }),
  );
  const odd = fc.array(
    fc.record(
      { name: fc.oneof(fc.string(), fc.integer()), sha256: fc.oneof(fc.constant(A), fc.string()) },
      { requiredKeys: [] },
    ),
    { maxLength: 300 },
  );
  fc.assert(
    fc.property(odd, (said) => {
      read({ ...FACTS, peers: [phantom({ served: servedModels(said) })] });
    }),
  );
  expect(servedModels([{ name: "x\n" }, { name: "y", sha256: "short" }, { name: "z" }])).toEqual([
    { name: "z" },
  ]);
});
