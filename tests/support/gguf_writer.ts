/** Writes small GGUF files for tests: any metadata, any tensors, weights all zero. */
import { TENSOR_TYPES, VALUE } from "../../lib/llm/gguf_types.ts";

/** A value of the metadata with its type, e.g. ["uint32", 32]. A list is ["array", "string", ["a", "b"]]. */
export type GgufValue =
  | readonly [Exclude<keyof typeof VALUE, "array" | "string" | "bool">, number]
  | readonly ["bool", boolean]
  | readonly ["string", string]
  | readonly ["array", keyof typeof VALUE, readonly (string | number | boolean)[]];

/** One tensor: its dimensions, innermost first, and the number of its type. */
export interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: number;
}

/** What to write. */
export interface GgufPlan {
  readonly version?: number;
  readonly alignment?: number;
  readonly keys: readonly (readonly [string, GgufValue])[];
  readonly tensors: readonly GgufTensor[];
}

/** The head of the file and the size of the whole; the weights after the head are zeroes. */
export function ggufHead(plan: GgufPlan): { readonly head: Uint8Array; readonly bytes: number } {
  const alignment = plan.alignment ?? 32;
  const pad = (offset: number) => Math.ceil(offset / alignment) * alignment;
  const out = new Out();
  out.number("uint32", 0x46554747);
  out.number("uint32", plan.version ?? 3);
  out.number("uint64", plan.tensors.length);
  const keys: GgufPlan["keys"] =
    plan.alignment === undefined
      ? plan.keys
      : [...plan.keys, ["general.alignment", ["uint32", plan.alignment]]];
  out.number("uint64", keys.length);
  for (const [key, value] of keys) {
    out.text(key);
    out.value(value);
  }
  let offset = 0;
  let end = 0;
  for (const tensor of plan.tensors) {
    out.text(tensor.name);
    out.number("uint32", tensor.shape.length);
    for (const size of tensor.shape) out.number("uint64", size);
    out.number("uint32", tensor.type);
    out.number("uint64", offset);
    const type = TENSOR_TYPES.get(tensor.type);
    const elements = tensor.shape.reduce((product, size) => product * size, 1);
    end = offset + (type ? (elements / type.block) * type.bytes : 0);
    offset = pad(end);
  }
  const head = out.bytes();
  const start = pad(head.length);
  return {
    head: Buffer.concat([head, new Uint8Array(start - head.length)]),
    bytes: start + end,
  };
}

/** The whole file. */
export function ggufFile(plan: GgufPlan): Uint8Array {
  const { head, bytes } = ggufHead(plan);
  return Buffer.concat([head, new Uint8Array(bytes - head.length)]);
}

/** A tiny model of the llama architecture that passes every check. `salt` makes files differ. */
export function tinyModel(salt = "", layers = 2): GgufPlan {
  return {
    keys: [
      ["general.architecture", ["string", "llama"]],
      ["general.name", ["string", `tiny ${salt}`]],
      ["general.file_type", ["uint32", 2]],
      ["llama.block_count", ["uint32", layers]],
      ["llama.context_length", ["uint32", 128]],
      ["llama.embedding_length", ["uint32", 32]],
      ["llama.attention.head_count", ["uint32", 4]],
      ["llama.attention.head_count_kv", ["uint32", 2]],
      ["tokenizer.ggml.model", ["string", "gpt2"]],
      ["tokenizer.ggml.tokens", ["array", "string", ["<s>", "a", "b", "c"]]],
    ],
    tensors: [
      { name: "token_embd.weight", shape: [32, 4], type: 0 },
      ...Array.from({ length: layers }, (_, i) => ({
        name: `blk.${i}.attn_q.weight`,
        shape: [32, 32],
        type: 2,
      })),
    ],
  };
}

class Out {
  readonly #parts: Buffer[] = [];
  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
  text(text: string): void {
    const bytes = Buffer.from(text);
    this.number("uint64", bytes.length);
    this.#parts.push(bytes);
  }
  number(type: keyof typeof VALUE, value: number): void {
    const buffer = Buffer.alloc(8);
    switch (type) {
      case "uint8":
      case "bool":
        return this.#push(buffer, buffer.writeUInt8(value));
      case "int8":
        return this.#push(buffer, buffer.writeInt8(value));
      case "uint16":
        return this.#push(buffer, buffer.writeUInt16LE(value));
      case "int16":
        return this.#push(buffer, buffer.writeInt16LE(value));
      case "uint32":
        return this.#push(buffer, buffer.writeUInt32LE(value));
      case "int32":
        return this.#push(buffer, buffer.writeInt32LE(value));
      case "float32":
        return this.#push(buffer, buffer.writeFloatLE(value));
      case "float64":
        return this.#push(buffer, buffer.writeDoubleLE(value));
      case "uint64":
        return this.#push(buffer, buffer.writeBigUInt64LE(BigInt(value)));
      case "int64":
        return this.#push(buffer, buffer.writeBigInt64LE(BigInt(value)));
      default:
        throw new Error(`${type} is no number`);
    }
  }
  value(value: GgufValue): void {
    this.number("uint32", VALUE[value[0]]);
    if (value[0] === "array") {
      this.number("uint32", VALUE[value[1]]);
      this.number("uint64", value[2].length);
      for (const one of value[2]) this.#one(value[1], one);
    } else {
      this.#one(value[0], value[1]);
    }
  }
  #one(type: keyof typeof VALUE, value: string | number | boolean): void {
    if (typeof value === "string") this.text(value);
    else this.number(type, Number(value));
  }
  #push(buffer: Buffer, length: number): void {
    this.#parts.push(buffer.subarray(0, length));
  }
}
