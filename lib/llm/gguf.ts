/**
 * Reads the head of a GGUF file and checks its structure as strictly as the engine does. The weights themselves are not read: their hash is the proof.
 * Format: ggml-org/ggml `docs/gguf.md`; what is refused: llama.cpp v0.5.0 `ggml/src/gguf.cpp`.
 *
 * Why not node-llama-cpp's `readGgufFileInfo` alone, measured by `bun tests/bench/gguf_readers.ts` (2 cores, SmolLM2 135M): ours takes 20 ms the
 * first time and then 5 ms, with 47 MiB at its peak; theirs 122 and 32 ms, 147 MiB. Theirs takes a file that is cut short for a whole one, and
 * is still busy after 30 s with one of 4 GiB that claims 2^60 tensors. So ours decides; theirs is the independent reader that ours is checked
 * against (`tests/llm/gguf_other_reader.test.ts`).
 */
import type { Probe } from "../machine/probe.ts";
import { brokenGguf, Cursor, type GgufSource } from "./gguf_cursor.ts";
import { meaning, type Value } from "./gguf_meaning.ts";
import { TENSOR_TYPES, VALUE, VALUE_BYTES } from "./gguf_types.ts";

export type { GgufSource } from "./gguf_cursor.ts";

/** What the head of a model file says. Texts come from the file: data, to be shown only through `printable`. Undefined where it does not say. */
export interface Gguf {
  readonly version: number;
  readonly bytes: number;
  readonly tensors: number;
  /** Number of weights. */
  readonly parameters: number;
  /** Bytes of weights by tensor type, most first. */
  readonly types: readonly { readonly type: string; readonly bytes: number }[];
  readonly architecture: string | undefined;
  readonly name: string | undefined;
  readonly licence: string | undefined;
  /** e.g. "Q4_K_M": what the file says, else the type that most of its bytes have. */
  readonly quantisation: string | undefined;
  readonly layers: number | undefined;
  readonly context: number | undefined;
  readonly embedding: number | undefined;
  readonly heads: number | undefined;
  /** Per layer they may differ: then the most. */
  readonly kvHeads: number | undefined;
  readonly kvBytesPerToken: number | undefined;
  readonly vocabulary: number | undefined;
  readonly tokenizer: string | undefined;
  readonly chatTemplate: boolean;
  /** Number of files that the model is split over; 1 for a whole one. */
  readonly parts: number;
}

/** The most that is read of a head: the largest known vocabularies take some 20 MB. */
const HEAD_LIMIT = 128 * 1024 * 1024;
const MOST_KEYS = 65_536;
const MOST_TENSORS = 131_072;
/** Least bytes of one key with its value, and of one tensor's description. */
const LEAST_KEY = 8 + 1 + 4 + 1;
const LEAST_TENSOR = 8 + 4 + 4 + 8;
const LONGEST_KEY = 65_535;
/** ggml's GGML_MAX_NAME, its end mark included. */
const LONGEST_NAME = 63;
const LONGEST_TEXT = 4096;
/** Elements of a numeric array that are kept: one per layer. */
const LONGEST_LIST = 4096;

/**
 * Reads and checks the GGUF file at `path`.
 * @throws IntegrityError "gguf-damaged" with what does not hold, whatever the bytes are; in bounded time and memory.
 */
export function readGguf(probe: Pick<Probe, "bytes" | "stat" | "real">, path: string): Gguf {
  const real = probe.real(path);
  const size = real === undefined ? undefined : probe.stat(real)?.size;
  if (real === undefined || size === undefined) throw brokenGguf(path, "it is not there");
  return parseGguf({ path, size, read: (offset, length) => probe.bytes(real, offset, length) });
}

/** As `readGguf`, from any source of bytes. Pure but for `source.read`. */
export function parseGguf(source: GgufSource): Gguf {
  const cursor = new Cursor(source, HEAD_LIMIT);
  const magic = cursor.u32("the magic number");
  if (magic !== 0x46554747) throw cursor.broken("it does not begin with GGUF");
  const version = cursor.u32("the version");
  if ((version & 0xffff) === 0) throw cursor.broken("it was written for a big-endian machine");
  if (version !== 2 && version !== 3) {
    throw cursor.broken(`it is GGUF version ${version}; the engine reads 2 and 3`);
  }
  const tensors = count(cursor, "tensors", LEAST_TENSOR, MOST_TENSORS);
  const keys = count(cursor, "keys", LEAST_KEY, MOST_KEYS);
  const found = readKeys(cursor, keys);
  const alignment = found.get("general.alignment") ?? 32;
  if (
    typeof alignment !== "number" ||
    !Number.isInteger(alignment) ||
    alignment < 1 ||
    alignment > 2 ** 31 ||
    (alignment & (alignment - 1)) !== 0
  ) {
    throw cursor.broken(`its alignment is ${String(alignment)}, which is no power of 2`);
  }
  const weights = readTensors(cursor, tensors, alignment);
  const start = padded(cursor.offset, alignment);
  if (start + weights.end > source.size) {
    throw cursor.broken(
      `its weights end at byte ${start + weights.end}, the file ends at ${source.size}: it is cut short`,
    );
  }
  return {
    version,
    bytes: source.size,
    tensors,
    ...weights.sums,
    ...meaning(found, weights.sums.types[0]?.type),
  };
}

function count(cursor: Cursor, what: string, least: number, most: number): number {
  const claimed = cursor.u64(`the number of ${what}`);
  if (claimed > most || claimed * least > cursor.left) {
    throw cursor.broken(`it claims ${claimed} ${what}, more than it can hold`);
  }
  return claimed;
}

function readKeys(cursor: Cursor, keys: number): Map<string, Value> {
  const found = new Map<string, Value>();
  const seen = new Set<string>();
  for (let i = 0; i < keys; i++) {
    const key = cursor.string(`the name of key ${i}`, LONGEST_KEY);
    if (key === "") throw cursor.broken(`key ${i} has no name`);
    if (seen.has(key)) throw cursor.broken(`key ${JSON.stringify(key)} is there twice`);
    seen.add(key);
    const what = `the value of ${JSON.stringify(key)}`;
    const type = cursor.u32(what);
    const value =
      type === VALUE.array
        ? readArray(cursor, key, what)
        : type === VALUE.string
          ? readText(cursor, key, what)
          : readNumber(cursor, type, what);
    if (key === "general.alignment" && type !== VALUE.uint32) {
      throw cursor.broken("its alignment is not of type uint32");
    }
    if (value !== undefined) found.set(key, value);
  }
  return found;
}

/** Keys whose text is looked at; of all others only that they are there. */
const TEXTS = new Set([
  "general.architecture",
  "general.name",
  "general.license",
  "tokenizer.ggml.model",
]);

function readText(cursor: Cursor, key: string, what: string): Value {
  if (TEXTS.has(key)) return cursor.string(what, LONGEST_TEXT);
  return cursor.skipString(what) > 0;
}

function readArray(cursor: Cursor, key: string, what: string): Value | undefined {
  const type = cursor.u32(what);
  const length = cursor.u64(what);
  const each = VALUE_BYTES.get(type);
  if (each === undefined || type === VALUE.array) {
    throw cursor.broken(`${what} is a list of type ${type}, which the engine does not read`);
  }
  if (length * Math.max(each, 1) > cursor.left) {
    throw cursor.broken(`${what} claims ${length} elements, more than the file can hold`);
  }
  if (type === VALUE.string) {
    if (length * 8 > cursor.left) {
      throw cursor.broken(`${what} claims ${length} texts, more than the file can hold`);
    }
    for (let i = 0; i < length; i++) cursor.skipString(what);
    return key === "tokenizer.ggml.tokens" ? length : undefined;
  }
  if (length > LONGEST_LIST || key.startsWith("tokenizer.")) {
    cursor.skip(length * each, what);
    return undefined;
  }
  const list: number[] = [];
  for (let i = 0; i < length; i++) list.push(Number(readNumber(cursor, type, what)));
  return list;
}

function readNumber(cursor: Cursor, type: number, what: string): number | boolean {
  switch (type) {
    case VALUE.uint8:
      return cursor.u8(what);
    case VALUE.int8:
      return cursor.i8(what);
    case VALUE.uint16:
      return cursor.u16(what);
    case VALUE.int16:
      return cursor.i16(what);
    case VALUE.uint32:
      return cursor.u32(what);
    case VALUE.int32:
      return cursor.i32(what);
    case VALUE.float32:
      return cursor.f32(what);
    case VALUE.bool: {
      const byte = cursor.u8(what);
      if (byte > 1) throw cursor.broken(`${what} is neither true nor false`);
      return byte === 1;
    }
    case VALUE.uint64:
      return cursor.u64(what);
    case VALUE.int64:
      return cursor.i64(what);
    case VALUE.float64:
      return cursor.f64(what);
    default:
      throw cursor.broken(`${what} is of type ${type}, which there is not`);
  }
}

interface Sums {
  readonly parameters: number;
  readonly types: Gguf["types"];
}

/** The descriptions of all tensors. They must lie one after the other, as the engine wants them. */
function readTensors(
  cursor: Cursor,
  tensors: number,
  alignment: number,
): { sums: Sums; end: number } {
  const names = new Set<string>();
  const bytesOf = new Map<string, number>();
  let parameters = 0;
  let expected = 0;
  let end = 0;
  for (let i = 0; i < tensors; i++) {
    const name = cursor.string(`the name of tensor ${i}`, LONGEST_NAME);
    const what = `tensor ${JSON.stringify(name)}`;
    if (names.has(name)) throw cursor.broken(`${what} is there twice`);
    names.add(name);
    const dimensions = cursor.u32(what);
    if (dimensions > 4) throw cursor.broken(`${what} has ${dimensions} dimensions, 4 is the most`);
    let elements = 1;
    let row = 1;
    for (let d = 0; d < dimensions; d++) {
      const size = cursor.u64(what);
      if (d === 0) row = size;
      elements *= size;
    }
    const type = TENSOR_TYPES.get(cursor.u32(what));
    if (!type) throw cursor.broken(`${what} is of a type that there is not`);
    if (elements > Number.MAX_SAFE_INTEGER) throw cursor.broken(`${what} has too many elements`);
    if (row % type.block !== 0) {
      throw cursor.broken(`a row of ${what} has ${row} elements, ${type.name} packs ${type.block}`);
    }
    const bytes = (elements / type.block) * type.bytes;
    const offset = cursor.u64(what);
    if (offset !== expected) {
      throw cursor.broken(`${what} begins at ${offset} of the weights, ${expected} is its place`);
    }
    end = offset + bytes;
    if (end > Number.MAX_SAFE_INTEGER) throw cursor.broken(`${what} is too large`);
    expected = padded(end, alignment);
    parameters += elements;
    bytesOf.set(type.name, (bytesOf.get(type.name) ?? 0) + bytes);
  }
  const types = [...bytesOf]
    .map(([type, bytes]) => ({ type, bytes }))
    .sort((a, b) => b.bytes - a.bytes);
  return { sums: { parameters, types }, end };
}

function padded(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
