/** Reading a GGUF file: what a whole one says, and that a damaged one is refused with its reason. */
import { describe, expect, test } from "bun:test";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { IntegrityError } from "../../lib/errors.ts";
import { parseGguf, type Gguf } from "../../lib/llm/gguf.ts";
import { ggufFile, ggufHead, tinyModel, type GgufPlan } from "../support/gguf_writer.ts";

const parse = (bytes: Uint8Array, size = bytes.length): Gguf =>
  parseGguf({
    path: "model.gguf",
    size,
    read: (offset, length) => bytes.subarray(offset, Math.min(offset + length, size)),
  });
const whyNot = (bytes: Uint8Array, size?: number): string => {
  try {
    parse(bytes, size);
  } catch (error) {
    expect(error).toBeInstanceOf(IntegrityError);
    return (error as IntegrityError).why;
  }
  throw new Error("it was taken for whole");
};
const edited = (bytes: Uint8Array, at: number, value: bigint | number): Uint8Array => {
  const copy = Buffer.from(bytes);
  if (typeof value === "bigint") copy.writeBigUInt64LE(value, at);
  else copy.writeUInt32LE(value, at);
  return copy;
};
const one = (plan: Partial<GgufPlan>): Uint8Array => ggufFile({ ...tinyModel(), ...plan });
const tensor = (shape: readonly number[], type: number) => ({ name: "t", shape, type });

describe("what a whole file says", () => {
  test("sizes, names and counts", () => {
    expect(parse(ggufFile(tinyModel("x")))).toMatchObject({
      version: 3,
      architecture: "llama",
      name: "tiny x",
      quantisation: "Q4_0",
      tensors: 3,
      parameters: 4 * 32 + 2 * 32 * 32,
      layers: 2,
      context: 128,
      embedding: 32,
      heads: 4,
      kvHeads: 2,
      kvBytesPerToken: 2 * 2 * (8 + 8) * 2,
      vocabulary: 4,
      tokenizer: "gpt2",
      chatTemplate: false,
      parts: 1,
    });
  });
  test("a chat template, heads that differ by layer, an alignment of its own", () => {
    const keys: GgufPlan["keys"] = [
      ["general.architecture", ["string", "openelm"]],
      ["openelm.block_count", ["uint32", 3]],
      ["openelm.embedding_length", ["uint64", 64]],
      ["openelm.attention.head_count", ["array", "int32", [4, 4, 8]]],
      ["openelm.attention.head_count_kv", ["array", "int32", [1, 2, 4]]],
      ["openelm.attention.key_length", ["uint32", 16]],
      ["openelm.attention.value_length", ["uint32", 16]],
      ["tokenizer.chat_template", ["string", "{{ messages }}"]],
      ["some.flag", ["bool", true]],
    ];
    const found = parse(
      ggufFile({
        keys,
        alignment: 64,
        tensors: [tensor([32], 8), { ...tensor([7], 0), name: "u" }],
      }),
    );
    expect(found).toMatchObject({ chatTemplate: true, kvHeads: 4, kvBytesPerToken: 7 * 32 * 2 });
  });
  test("a hybrid model keeps a cache for every fourth layer", () => {
    const keys = (extra: GgufPlan["keys"]): GgufPlan["keys"] => [
      ["general.architecture", ["string", "qwen35"]],
      ["qwen35.block_count", ["uint32", 32]],
      ["qwen35.embedding_length", ["uint32", 2560]],
      ["qwen35.attention.head_count", ["uint32", 16]],
      ["qwen35.attention.head_count_kv", ["uint32", 4]],
      ["qwen35.attention.key_length", ["uint32", 256]],
      ["qwen35.attention.value_length", ["uint32", 256]],
      ...extra,
    ];
    const kv = (extra: GgufPlan["keys"]) => parse(one({ keys: keys(extra) })).kvBytesPerToken;
    expect(kv([])).toBe(32_768); // what the catalogue says of Qwen3.5 4B
    expect(kv([["qwen35.full_attention_interval", ["uint32", 2]]])).toBe(65_536);
    const recurrent = Array.from({ length: 32 }, (_, i) => i !== 5);
    expect(kv([["qwen35.attention.recurrent_layers", ["array", "bool", recurrent]]])).toBe(4096);
  });
});

describe("what does not hold is refused with its reason", () => {
  const whole = ggufFile(tinyModel());
  const cases: readonly [string, Uint8Array, RegExp][] = [
    ["empty", new Uint8Array(0), /claims 4 bytes at 0/],
    ["another format", Buffer.from("PK\u0003\u0004 something else"), /does not begin with GGUF/],
    ["version 1", edited(whole, 4, 1), /GGUF version 1/],
    ["version 4", edited(whole, 4, 4), /GGUF version 4/],
    ["big-endian", edited(whole, 4, 0x03000000), /big-endian/],
    ["2^60 tensors", edited(whole, 8, 2n ** 60n), /claims 1152921504606847000 tensors/],
    ["2^64 - 1 keys", edited(whole, 16, 2n ** 64n - 1n), /claims .* keys, more than it can hold/],
    ["a key of 2^63 bytes", edited(whole, 24, 2n ** 63n), /key 0 claims to be/],
    ["no weights where they should be", whole.subarray(0, whole.length - 1), /cut short/],
    ["a list in a list", one({ keys: [["a", ["array", "array", []]]] }), /does not read/],
    ["an alignment of 3", ggufFile({ ...tinyModel(), alignment: 3 }), /no power of 2/],
    ["an alignment of 0", one({ keys: [["general.alignment", ["uint32", 0]]] }), /no power of 2/],
    ["an alignment as text", one({ keys: [["general.alignment", ["string", "x"]]] }), /uint32/],
    [
      "a key twice",
      one({
        keys: [
          ["a", ["uint8", 1]],
          ["a", ["uint8", 1]],
        ],
      }),
      /there twice/,
    ],
    ["a key without a name", one({ keys: [["", ["uint8", 1]]] }), /no name/],
    ["a tensor twice", one({ tensors: [tensor([4], 0), tensor([4], 0)] }), /there twice/],
    ["five dimensions", one({ tensors: [tensor([1, 1, 1, 1, 1], 0)] }), /5 dimensions/],
    ["a removed type", one({ tensors: [tensor([32], 4)] }), /type that there is not/],
    ["half a block", one({ tensors: [tensor([33], 2)] }), /33 elements, Q4_0 packs 32/],
  ];
  test.each(cases)("%s", (_, bytes, reason) => {
    expect(whyNot(bytes)).toMatch(reason);
  });
  test("tensors of absurd sizes, alone and together", () => {
    for (const shape of [[2 ** 40, 2 ** 40], [2 ** 30, 2 ** 20], [2 ** 52]]) {
      const { head } = ggufHead({ ...tinyModel(), tensors: [tensor(shape, 0)] });
      expect(whyNot(head)).toMatch(/too many elements|too large|cut short/);
    }
    const tensors = Array.from({ length: 8 }, (_, i) => ({
      ...tensor([2 ** 49], 0),
      name: `t${i}`,
    }));
    expect(whyNot(ggufHead({ ...tinyModel(), tensors }).head)).toMatch(/too large|its place/);
  });
  test("a tensor that overlaps another", () => {
    const found = Buffer.from(whole).indexOf("blk.0.attn_q.weight");
    const offsetAt = found + "blk.0.attn_q.weight".length + 4 + 16 + 4;
    expect(whyNot(edited(whole, offsetAt, 0n))).toMatch(
      /begins at 0 of the weights, 512 is its place/,
    );
  });
  test("lists of 2^61 texts, of 2^40 numbers, and texts that end nowhere", () => {
    const texts = one({ keys: [["tokenizer.ggml.tokens", ["array", "string", ["a"]]]] });
    const at = Buffer.from(texts).indexOf("tokenizer.ggml.tokens") + 21 + 4 + 4;
    expect(whyNot(edited(texts, at, 2n ** 61n))).toMatch(/more than the file can hold/);
    expect(whyNot(edited(texts, at + 8, 2n ** 40n))).toMatch(/claims 1099511627776 bytes/);
    const numbers = one({ keys: [["tokenizer.ggml.scores", ["array", "float32", [1]]]] });
    expect(whyNot(edited(numbers, at, 2n ** 40n))).toMatch(/more than the file can hold/);
  });
  test("messages never carry the file's own escapes", () => {
    const evil = one({
      keys: [
        ["\u001b[2Jx", ["uint8", 1]],
        ["\u001b[2Jx", ["uint8", 1]],
      ],
    });
    expect(whyNot(evil)).not.toContain("\u001b");
  });
});

describe("whatever the bytes", () => {
  const models = fc.record({
    salt: fc.string(),
    layers: fc.integer({ min: 0, max: 12 }),
    alignment: fc.constantFrom(undefined, 8, 32, 4096),
  });
  const plan = models.map(({ salt, layers, alignment }): GgufPlan => ({
    ...tinyModel(salt, layers),
    ...(alignment === undefined ? {} : { alignment }),
  }));
  /** Parses and tells how long it took; anything but a result or an IntegrityError fails the test. */
  const survives = (bytes: Uint8Array): void => {
    const began = performance.now();
    try {
      parse(bytes);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
    }
    expect(performance.now() - began).toBeLessThan(1000);
  };

  test("every whole file is read back", () => {
    fc.assert(
      fc.property(plan, (made) => {
        const bytes = ggufFile(made);
        const found = parse(bytes);
        expect(found.tensors).toBe(made.tensors.length);
        expect(found.bytes).toBe(bytes.length);
      }),
    );
  });
  test("cut anywhere it is refused", () => {
    fc.assert(
      fc.property(
        plan,
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (made, part) => {
          const bytes = ggufFile(made);
          whyNot(bytes.subarray(0, Math.floor(bytes.length * part)));
        },
      ),
      { numRuns: 300 },
    );
  });
  test("with any bytes changed it is read or refused, never worse, and soon", () => {
    const change = fc.tuple(
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      fc.integer({ min: 0, max: 255 }),
    );
    fc.assert(
      fc.property(plan, fc.array(change, { minLength: 1, maxLength: 8 }), (made, changes) => {
        const bytes = Buffer.from(ggufFile(made));
        const { head } = ggufHead(made);
        for (const [at, value] of changes) bytes[Math.floor(head.length * at)] = value;
        survives(bytes);
      }),
      { numRuns: 3000 },
    );
  });
  test("with any 8 bytes of the head made a huge number", () => {
    const huge = fc.constantFrom(
      2n ** 64n - 1n,
      2n ** 63n,
      2n ** 60n,
      2n ** 53n + 1n,
      2n ** 32n,
      2n ** 31n - 1n,
    );
    fc.assert(
      fc.property(plan, fc.nat(), huge, (made, at, value) => {
        const bytes = ggufFile(made);
        const { head } = ggufHead(made);
        survives(edited(bytes, at % (head.length - 8), value));
      }),
      { numRuns: 2000 },
    );
  });
  test("of noise after the magic number too", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (noise) => {
        survives(Buffer.concat([Buffer.from("GGUF\u0003\0\0\0"), noise]));
      }),
      { numRuns: 2000 },
    );
  });
});

test("a file of 4 GiB that claims as much as it can takes neither time nor memory", () => {
  const folder = mkdtempSync(join(tmpdir(), "gguf-"));
  try {
    // as many empty texts as a list may claim, all there because the file is sparse
    const plan = ggufFile({
      ...tinyModel(),
      tensors: [],
      keys: [["a.b", ["array", "string", []]]],
    });
    const path = join(folder, "sparse.gguf");
    const head = Buffer.from(plan);
    const at = head.indexOf("a.b") + 3 + 4 + 4;
    writeFileSync(path, edited(head, at, 15_000_000n));
    truncateSync(path, 4 * 2 ** 30);
    const handle = openSync(path, "r");
    const before = process.memoryUsage.rss();
    const began = performance.now();
    let most = 0;
    expect(() =>
      parseGguf({
        path,
        size: 4 * 2 ** 30,
        read: (offset, length) => {
          most = Math.max(most, offset + length);
          const buffer = Buffer.alloc(length);
          return buffer.subarray(0, readSync(handle, buffer, 0, length, offset));
        },
      }),
    ).not.toThrow();
    closeSync(handle);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(most).toBeLessThanOrEqual(128 * 2 ** 20);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 2 ** 20);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
