/** Reads a GGUF file's head piece by piece, never past its end, with one small window in memory. */
import { IntegrityError } from "../errors.ts";

/** Where the bytes come from. `read` gives up to `length` bytes from `offset`. */
export interface GgufSource {
  /** For messages. */
  readonly path: string;
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

const WINDOW = 256 * 1024;
const WHOLE = 2 ** 32;

/** The error for a file whose structure does not hold. */
export function brokenGguf(path: string, why: string): IntegrityError {
  return new IntegrityError("gguf-damaged", `checking the structure of ${path}`, why);
}

/** A place in the file that moves on with each read. Numbers are little-endian. */
export class Cursor {
  #offset = 0;
  #start = 0;
  #window: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  readonly #limit: number;

  /** @param limit offset that no read may reach past: it bounds the time a hostile file can take. */
  constructor(
    private readonly source: GgufSource,
    limit: number,
  ) {
    this.#limit = Math.min(limit, source.size);
  }

  get offset(): number {
    return this.#offset;
  }
  /** Bytes that may still be read. */
  get left(): number {
    return this.#limit - this.#offset;
  }

  // `#take` may move the window, so it comes before the view is touched
  u8(what: string): number {
    const at = this.#take(1, what);
    return this.#view.getUint8(at);
  }
  i8(what: string): number {
    const at = this.#take(1, what);
    return this.#view.getInt8(at);
  }
  u16(what: string): number {
    const at = this.#take(2, what);
    return this.#view.getUint16(at, true);
  }
  i16(what: string): number {
    const at = this.#take(2, what);
    return this.#view.getInt16(at, true);
  }
  u32(what: string): number {
    const at = this.#take(4, what);
    return this.#view.getUint32(at, true);
  }
  i32(what: string): number {
    const at = this.#take(4, what);
    return this.#view.getInt32(at, true);
  }
  f32(what: string): number {
    const at = this.#take(4, what);
    return this.#view.getFloat32(at, true);
  }
  f64(what: string): number {
    const at = this.#take(8, what);
    return this.#view.getFloat64(at, true);
  }
  /** Rounded above 2^53: far more than any length, offset or count that is let through. */
  u64(what: string): number {
    const at = this.#take(8, what);
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * WHOLE;
  }
  i64(what: string): number {
    const at = this.#take(8, what);
    return this.#view.getUint32(at, true) + this.#view.getInt32(at + 4, true) * WHOLE;
  }

  /** A text with its length before it. Bytes that are no UTF-8 become U+FFFD. */
  string(what: string, longest: number): string {
    const length = this.u64(what);
    if (length > longest) {
      throw this.broken(`${what} claims to be ${length} bytes long, ${longest} is the most`);
    }
    this.#check(length, what);
    if (length > WINDOW) {
      const bytes = this.source.read(this.#offset, length);
      this.#offset += length;
      return new TextDecoder().decode(bytes);
    }
    const at = this.#take(length, what); // may move the window, so it comes first
    const bytes = this.#window.subarray(at, at + length);
    return new TextDecoder().decode(bytes);
  }

  /** Passes over a text and tells its length. */
  skipString(what: string): number {
    const length = this.u64(what);
    this.skip(length, what);
    return length;
  }

  skip(length: number, what: string): void {
    this.#check(length, what);
    this.#offset += length;
  }

  broken(why: string): IntegrityError {
    return brokenGguf(this.source.path, why);
  }

  /** Moves on by `length`, which is at most a window, and tells where in the window those bytes begin. */
  #take(length: number, what: string): number {
    const at = this.#offset - this.#start;
    if (at < 0 || at + length > this.#window.length) {
      this.#check(length, what);
      this.#start = this.#offset;
      this.#window = this.source.read(this.#offset, Math.min(WINDOW, this.#limit - this.#offset));
      if (this.#window.length < length) throw this.broken(`it ends inside ${what}`);
      this.#view = new DataView(
        this.#window.buffer,
        this.#window.byteOffset,
        this.#window.byteLength,
      );
      this.#offset += length;
      return 0;
    }
    this.#offset += length;
    return at;
  }

  #check(length: number, what: string): void {
    if (length <= this.#limit - this.#offset) return;
    if (this.#limit < this.source.size) {
      throw this.broken(`its metadata claims more than ${this.#limit} bytes, in ${what}`);
    }
    throw this.broken(
      `${what} claims ${length} bytes at ${this.#offset}, the file ends at ${this.source.size}`,
    );
  }
}
