/** The gateway's judgement: who may answer, how long a silence is borne, who waits. Pure parts. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseGatewayConfig } from "../../lib/gateway/config.ts";
import { Refusal } from "../../lib/gateway/errors.ts";
import { carriesKey } from "../../lib/gateway/key.ts";
import { sameModel, wantedModel } from "../../lib/gateway/mapping.ts";
import { Queue } from "../../lib/gateway/queue.ts";
import { EventReader, StreamFault } from "../../lib/gateway/sse.ts";
import { LEAST, learned, MOST, patience } from "../../lib/gateway/stall.ts";
import {
  calm,
  CALM,
  CALM_MOST,
  condemned,
  MEMORY,
  proven,
  unknown,
  type Standing,
} from "../../lib/gateway/standing.ts";

const event = fc.oneof(
  fc.record({ what: fc.constant("fails" as const), after: fc.nat(20_000) }),
  fc.record({ what: fc.constant("answers" as const), after: fc.nat(20_000) }),
);

test("an engine that fell comes back only after it was calm without a break, longer after each fall", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let now = 0;
      let standing: Standing = proven(unknown(now), now, false);
      expect(standing.state).toBe("up");
      let firstGood: number | undefined;
      for (const { what, after } of events) {
        now += after;
        const before = standing;
        if (what === "fails") {
          standing = condemned(standing, "why", now);
          expect(standing.state).toBe("down");
          firstGood = undefined;
        } else {
          standing = proven(standing, now, false);
          if (before.state === "down") firstGood ??= now;
          if (before.state === "down" && standing.state === "up") {
            const falls = before.falls.filter((at) => now - at < MEMORY).length;
            expect(now - (firstGood ?? now)).toBeGreaterThanOrEqual(calm(falls));
          }
        }
      }
      expect(standing.falls.length).toBeLessThanOrEqual(events.length);
    }),
  );
  expect([0, 1, 2, 3, 99].map(calm)).toEqual([CALM, CALM, 2 * CALM, 4 * CALM, CALM_MOST]);
});

test("where no other engine could answer, one real answer is enough", () => {
  const down = condemned(proven(unknown(0), 0, false), "why", 10);
  expect(proven(down, 20, true).state).toBe("up");
  expect(proven(down, 20, false).state).toBe("down");
});

test("patience: never under the least, never over the most, longer for longer prompts and slower engines", () => {
  const prompt = fc.record({ total: fc.nat(100_000), processed: fc.nat(100_000) });
  fc.assert(
    fc.property(
      prompt,
      fc.nat(20_000_000),
      fc.nat(100_000),
      fc.boolean(),
      fc.double({ min: 0.1, max: 5000, noNaN: true }),
      (one, asked, slowest, speaking, speed) => {
        const progress = {
          total: one.total,
          processed: Math.min(one.total, one.processed),
          all: {},
        };
        const flow = { asked, slowest, speaking, progress };
        const borne = patience(flow, { prompt: speed });
        expect(borne).toBeGreaterThanOrEqual(LEAST);
        expect(borne).toBeLessThanOrEqual(MOST);
        expect(
          patience({ ...flow, slowest: slowest * 2 }, { prompt: speed }),
        ).toBeGreaterThanOrEqual(borne);
        expect(patience(flow, { prompt: speed / 2 })).toBeGreaterThanOrEqual(borne);
      },
    ),
  );
  // a 20,000-token prompt at 100 tokens/s is read in one go of 200 s by an engine that reports nothing on the way
  const long = {
    asked: 80_000,
    slowest: 0,
    speaking: false,
    progress: { total: 20_000, processed: 0, all: {} },
  };
  expect(patience(long, { prompt: 100 })).toBe(MOST);
  expect(
    patience({ ...long, progress: { total: 100, processed: 0, all: {} } }, { prompt: 100 }),
  ).toBe(LEAST);
  // an engine that takes 3 s for each token is slow, not dead
  expect(patience({ ...long, speaking: true, slowest: 3000 }, {})).toBe(24_000);
});

test("speed is learned from whole answers, and one lucky one doesn't make the limit tight", () => {
  const timings = (promptTokens: number, promptMs: number, tokens: number, tokensMs: number) => ({
    cached: 0,
    promptTokens,
    promptMs,
    tokens,
    tokensMs,
    all: {},
  });
  const slow = learned({}, timings(1000, 10_000, 100, 20_000));
  expect(slow).toEqual({ prompt: 100, gap: 200 });
  const lucky = learned(slow, timings(1000, 1000, 100, 1000));
  expect(lucky.prompt).toBeLessThan(400);
  expect(lucky.gap).toBeGreaterThan(100);
  expect(learned(slow, timings(1000, 20_000, 100, 40_000))).toEqual({ prompt: 50, gap: 400 });
  expect(learned(slow, timings(1, 500, 2, 10_000))).toEqual(slow);
});

test("the line: bounded, in order, begun answers first, and nobody gets a place twice", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("ask", "begun", "leave", "free"), { maxLength: 80 }),
      async (steps) => {
        const bound = 3;
        const queue = new Queue<number>(bound);
        let free = 0;
        let given = 0;
        const take = () => (free > 0 ? (free--, ++given) : undefined);
        const waiting: { begun: boolean; at: number; leave: AbortController }[] = [];
        const got: { begun: boolean; at: number }[] = [];
        let at = 0;
        for (const step of steps) {
          if (step === "free") {
            free++;
            queue.turn();
          } else if (step === "leave") {
            waiting.splice(0, 1)[0]?.leave.abort(new Error("left"));
          } else {
            const one = { begun: step === "begun", at: at++, leave: new AbortController() };
            const before = queue.length;
            waiting.push(one);
            queue.take(take, one.begun, one.leave.signal).then(
              () => {
                got.push(one);
                return waiting.splice(waiting.indexOf(one), 1);
              },
              (error: unknown) => {
                if (!(error instanceof Refusal)) return undefined;
                expect(error).toMatchObject({ status: 429, code: "queue_full" });
                expect(one.begun).toBe(false);
                expect(before).toBeGreaterThanOrEqual(bound);
                return waiting.splice(waiting.indexOf(one), 1);
              },
            );
          }
          await Bun.sleep(0);
          expect(given).toBe(got.length);
          expect(queue.length).toBe(waiting.length);
          expect(waiting.filter((one) => !one.begun).length).toBeLessThanOrEqual(bound);
          // who is served is the first of the begun, else the first of the others
          for (const kind of [true, false]) {
            const order = got.filter((one) => one.begun === kind).map((one) => one.at);
            expect(order).toEqual([...order].sort((a, b) => a - b));
          }
          const begunWaits = waiting.some((one) => one.begun);
          if (begunWaits && step === "free") expect(got.at(-1)?.begun).toBe(true);
          if (free > 0) expect(waiting).toHaveLength(0);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("events are the same however the bytes of a stream are split", () => {
  const data = fc.array(
    fc.string({ unit: "grapheme", maxLength: 20 }).filter((text) => !/[\r\n]/.test(text)),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(
      data,
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      fc.boolean(),
      (events, sizes, crlf) => {
        const end = crlf ? "\r\n" : "\n";
        const bytes = Buffer.from(
          events.map((one) => `: comment${end}event: x${end}data: ${one}${end}${end}`).join(""),
        );
        const reader = new EventReader();
        const found: string[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          found.push(...reader.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(found).toEqual(events);
      },
    ),
  );
});

test("a line without end is given up, as are bytes that are no text", () => {
  const reader = new EventReader();
  const piece = Buffer.alloc(100_000, "a");
  expect(() => {
    for (let i = 0; i < 100; i++) reader.push(piece);
  }).toThrow(StreamFault);
  expect(() => new EventReader().push(Buffer.from([0xc3, 0x28]))).toThrow(StreamFault);
});

test("the key opens, and nothing else does", () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }).filter((key) => key.trim() === key),
      fc.string(),
      (key, other) => {
        expect(carriesKey(`Bearer ${key}`, key)).toBe(true);
        if (other.trim() !== key) expect(carriesKey(`Bearer ${other}`, key)).toBe(false);
        expect(carriesKey(key, key)).toBe(
          /^Bearer +/i.test(key) && key.replace(/^Bearer +/i, "") === key,
        );
        expect(carriesKey(undefined, key)).toBe(false);
        expect(carriesKey("Bearer ", "")).toBe(false);
      },
    ),
  );
});

test("models by name, per host, and the same file by its digest", () => {
  const sha = (digit: string) => digit.repeat(64);
  const models = [
    {
      name: "m",
      on: {
        a: { name: "x", sha256: sha("1") },
        b: { name: "y", sha256: sha("1") },
        c: { name: "x", sha256: sha("2") },
      },
    },
    { name: "k", on: { a: { name: "k" }, b: { name: "k" }, c: { name: "other" } } },
  ];
  const wanted = wantedModel(models, "m");
  expect(wanted.at("b")?.name).toBe("y");
  expect(wanted.at("d")).toBeUndefined();
  expect([
    sameModel(wanted, "a", "b"),
    sameModel(wanted, "a", "c"),
    sameModel(wanted, "a", "d"),
  ]).toEqual([true, false, false]);
  const plain = wantedModel(models, "k");
  expect([
    sameModel(plain, "a", "b"),
    sameModel(plain, "a", "c"),
    sameModel(plain, "c", "c"),
  ]).toEqual([true, false, true]);
  expect(wantedModel(models, undefined).name).toBe("m");
  expect(() => wantedModel(models, "nobody")).toThrow(Refusal);
  expect(wantedModel([], "any").at("a")?.name).toBe("any");
});

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
