/** What the metadata of a GGUF file means. Key names: ggml-org/ggml `docs/gguf.md`, llama.cpp v0.5.0 `src/llama-arch.cpp`. Pure. */
import type { Gguf } from "./gguf.ts";
import { FILE_TYPES } from "./gguf_types.ts";

/** A value of the metadata that was kept. */
export type Value = string | number | boolean | readonly number[];

/** A file that claims more has no sizes that could be reckoned with. */
const MOST_LAYERS = 4096;

/** What the keys say of the model, by its architecture's prefix. `mostType` is the type that most of its weights have. */
export function meaning(
  found: ReadonlyMap<string, Value>,
  mostType: string | undefined,
): Omit<Gguf, "version" | "bytes" | "tensors" | "parameters" | "types"> {
  const text = (key: string) => {
    const value = found.get(key);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const architecture = text("general.architecture");
  const value = (key: string) => found.get(`${architecture ?? ""}.${key}`);
  const number = (key: string) => {
    const one = value(key);
    return typeof one === "number" && Number.isSafeInteger(one) && one >= 0 ? one : undefined;
  };
  const layers = number("block_count");
  const embedding = number("embedding_length");
  const heads = most(value("attention.head_count"));
  const kvHeads = most(value("attention.head_count_kv")) ?? heads;
  const head = heads && embedding ? embedding / heads : undefined;
  const type = found.get("general.file_type");
  const tokens = found.get("tokenizer.ggml.tokens");
  const parts = found.get("split.count");
  return {
    architecture,
    name: text("general.name"),
    licence: text("general.license"),
    quantisation: (typeof type === "number" ? FILE_TYPES.get(type) : undefined) ?? mostType,
    layers,
    context: number("context_length"),
    embedding,
    heads,
    kvHeads,
    kvBytesPerToken: kvBytes(layers, value("attention.head_count_kv") ?? heads, {
      key: number("attention.key_length") ?? head,
      value: number("attention.value_length") ?? head,
      recurrent: value("attention.recurrent_layers"),
      every: number("full_attention_interval") ?? (HYBRID.test(architecture ?? "") ? 4 : 1),
    }),
    vocabulary: typeof tokens === "number" ? tokens : number("vocab_size"),
    tokenizer: text("tokenizer.ggml.model"),
    chatTemplate: found.get("tokenizer.chat_template") === true,
    parts: typeof parts === "number" && parts > 1 ? parts : 1,
  };
}

function most(value: Value | undefined): number | undefined {
  if (typeof value === "number") return value;
  return Array.isArray(value) && value.length > 0 ? Math.max(...(value as number[])) : undefined;
}

/** Architectures of which only every fourth layer keeps a KV cache where the file does not say (llama.cpp `src/models/qwen35.cpp`). */
const HYBRID = /^qwen(?:3next|35|35moe)$/;

/** At f16, over all layers that keep a cache: of a hybrid model those that are not recurrent, which is every `every`-th. */
function kvBytes(
  layers: number | undefined,
  kvHeads: Value | undefined,
  size: {
    readonly key: number | undefined;
    readonly value: number | undefined;
    readonly recurrent: Value | undefined;
    readonly every: number;
  },
): number | undefined {
  if (layers === undefined || layers > MOST_LAYERS || size.every < 1) return undefined;
  if (size.key === undefined || size.value === undefined) return undefined;
  let heads = 0;
  for (let layer = 0; layer < layers; layer++) {
    const recurrent = Array.isArray(size.recurrent)
      ? Boolean((size.recurrent as readonly number[])[layer])
      : (layer + 1) % size.every !== 0;
    if (recurrent) continue;
    const here = Array.isArray(kvHeads) ? (kvHeads as readonly number[])[layer] : kvHeads;
    if (typeof here !== "number") return undefined;
    heads += here;
  }
  return heads * (size.key + size.value) * 2;
}
