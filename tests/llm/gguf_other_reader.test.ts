/** Our GGUF reader against node-llama-cpp's, which is an independent one: they must read the same from every whole file. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { readGgufFileInfo } from "node-llama-cpp";
import { parseGguf } from "../../lib/llm/gguf.ts";
import { TENSOR_TYPES } from "../../lib/llm/gguf_types.ts";
import { ggufFile, tinyModel, type GgufPlan } from "../support/gguf_writer.ts";

const folder = mkdtempSync(join(tmpdir(), "gguf-readers-"));
afterAll(() => rmSync(folder, { recursive: true }));

function ours(bytes: Uint8Array) {
  return parseGguf({
    path: "model.gguf",
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  });
}
async function theirs(bytes: Uint8Array) {
  const path = join(folder, "model.gguf");
  writeFileSync(path, bytes);
  return readGgufFileInfo(path, { readTensorInfo: true, logWarnings: false });
}

// types whose numbers both know
const types = [...TENSOR_TYPES.keys()].filter((one) => one <= 30);
const plans = fc.record({
  salt: fc.string({ maxLength: 40 }).filter((text) => !text.includes("\0")),
  layers: fc.integer({ min: 1, max: 60 }),
  alignment: fc.constantFrom(undefined, 32, 64, 256),
  tokens: fc.array(fc.string(), { maxLength: 300 }),
  shapes: fc.array(
    fc.record({ type: fc.constantFrom(...types), rows: fc.integer({ min: 1, max: 9 }) }),
    { minLength: 1, maxLength: 12 },
  ),
});

test("both read the same sizes, names, texts and weights", async () => {
  await fc.assert(
    fc.asyncProperty(plans, async ({ salt, layers, alignment, tokens, shapes }) => {
      const base = tinyModel(salt, layers);
      const plan: GgufPlan = {
        ...(alignment === undefined ? {} : { alignment }),
        keys: [
          ...base.keys.filter(([key]) => key !== "tokenizer.ggml.tokens"),
          ["tokenizer.ggml.tokens", ["array", "string", tokens]],
          ["tokenizer.ggml.scores", ["array", "float32", tokens.map((_, i) => i)]],
          ["tokenizer.chat_template", ["string", "{{ messages }}"]],
        ],
        tensors: shapes.map(({ type, rows }, i) => ({
          name: `blk.${i}.weight`,
          shape: [256, rows],
          type,
        })),
      };
      const bytes = ggufFile(plan);
      const [mine, other] = [ours(bytes), await theirs(bytes)];
      const llama = other.metadata.llama ?? ({} as NonNullable<typeof other.metadata.llama>);
      const tokenizer = other.metadata.tokenizer;
      expect({
        version: other.version,
        architecture: other.metadata.general.architecture as string,
        name: other.metadata.general.name,
        layers: llama.block_count,
        context: llama.context_length,
        embedding: llama.embedding_length,
        heads: llama.attention?.head_count,
        kvHeads: llama.attention?.head_count_kv,
        tokenizer: tokenizer.ggml.model,
        vocabulary: tokenizer.ggml.tokens.length,
        chatTemplate: typeof tokenizer.chat_template === "string",
        tensors: other.fullTensorInfo?.length,
      } as unknown).toEqual({
        version: mine.version as 3,
        architecture: mine.architecture ?? "",
        name: mine.name,
        layers: mine.layers ?? 0,
        context: mine.context ?? 0,
        embedding: mine.embedding ?? 0,
        heads: mine.heads,
        kvHeads: mine.kvHeads,
        tokenizer: mine.tokenizer ?? "",
        vocabulary: mine.vocabulary ?? 0,
        chatTemplate: mine.chatTemplate,
        tensors: mine.tensors,
      });
    }),
    { numRuns: 60 },
  );
}, 60_000);

test("a file that is cut short is whole to the other reader: why ours decides", async () => {
  const bytes = ggufFile(tinyModel());
  const cut = bytes.subarray(0, bytes.length - 1);
  expect((await theirs(cut)).fullTensorInfo?.length).toBe(3);
  expect(() => ours(cut)).toThrow("cut short");
});
