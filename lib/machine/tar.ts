/** One member of a gzipped tar, which is what an npm package is. Layout: POSIX.1-2024 pax (ustar and extended headers) and GNU's long names. */
import { createReadStream } from "node:fs";
import { Transform } from "node:stream";
import { createGunzip } from "node:zlib";
import { CHUNK, damaged, flowInto, type ExtractOptions } from "./extract.ts";

const BLOCK = 512;
/** Longest extended header that is kept: names and a few attributes. */
const HEADER_LIMIT = 1024 * 1024;

/**
 * Writes the member called `name` of the gzipped tar at `archive` to the file `to` (both real paths). `name` starts after the archive's top
 * folder: npm calls it "package", others by other names.
 * @throws IntegrityError where the archive is damaged, holds no such member, or one of more than `limit` bytes.
 */
export async function extractFromTgz(
  archive: string,
  name: string,
  to: string,
  options: ExtractOptions,
): Promise<void> {
  const member = new MemberOfTar(archive, name);
  await flowInto(
    to,
    [
      createReadStream(archive, { highWaterMark: CHUNK }),
      createGunzip({ chunkSize: CHUNK }),
      member,
    ],
    archive,
    options,
  );
  if (!member.found) throw damaged(archive, `it holds no "${name}"`);
}

/** Tar blocks in, the bytes of one member out. */
class MemberOfTar extends Transform {
  found = false;
  readonly #archive: string;
  readonly #name: string;
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes of the present entry still to come, and the padding after them. */
  #left = 0;
  #padding = 0;
  #use: "skip" | "give" | "keep" = "skip";
  #kept: Buffer[] = [];
  #keptType = "";
  #longName: string | undefined;
  #longSize: number | undefined;

  constructor(archive: string, name: string) {
    super();
    this.#archive = archive;
    this.#name = name;
  }

  override _transform(chunk: Buffer, _encoding: string, next: (error?: Error) => void): void {
    try {
      this.#take(this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk);
      next();
    } catch (error) {
      next(error as Error);
    }
  }

  override _flush(next: (error?: Error) => void): void {
    next(this.#left > 0 ? damaged(this.#archive, "it ends inside a member") : undefined);
  }

  #take(data: Buffer): void {
    let at = 0;
    for (;;) {
      if (this.#left > 0) {
        const piece = data.subarray(at, at + this.#left);
        if (piece.length === 0) break;
        if (this.#use === "give") this.push(piece);
        if (this.#use === "keep") this.#kept.push(Buffer.from(piece));
        at += piece.length;
        this.#left -= piece.length;
        if (this.#left === 0 && this.#use === "keep") this.#readExtended();
      } else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, data.length - at);
        if (skipped === 0) break;
        at += skipped;
        this.#padding -= skipped;
      } else {
        if (at + BLOCK > data.length) break;
        this.#header(data.subarray(at, at + BLOCK));
        at += BLOCK;
      }
    }
    this.#rest = Buffer.from(data.subarray(at));
  }

  #header(block: Buffer): void {
    if (block.every((byte) => byte === 0)) return; // the end is two empty blocks
    if (sumOf(block) !== Number.parseInt(text(block, 148, 8), 8)) {
      throw damaged(this.#archive, "a header's checksum does not agree");
    }
    const type = text(block, 156, 1);
    const size = this.#longSize ?? sizeIn(block);
    if (!Number.isSafeInteger(size) || size < 0)
      throw damaged(this.#archive, "a member has no size");
    const prefix = text(block, 257, 5) === "ustar" ? text(block, 345, 155) : "";
    const own = text(block, 0, 100);
    const path = this.#longName ?? (prefix ? `${prefix}/${own}` : own);
    this.#left = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (type === "x" || type === "L") {
      if (size > HEADER_LIMIT) throw damaged(this.#archive, `a header claims ${size} bytes`);
      this.#use = "keep";
      this.#kept = [];
      this.#keptType = type;
      return;
    }
    this.#longName = undefined;
    this.#longSize = undefined;
    const regular = type === "0" || type === "" || type === "7";
    const wanted = regular && !this.found && path.slice(path.indexOf("/") + 1) === this.#name;
    this.found ||= wanted;
    this.#use = wanted ? "give" : "skip";
  }

  #readExtended(): void {
    const content = Buffer.concat(this.#kept).toString("utf8");
    this.#kept = [];
    if (this.#keptType === "L") {
      this.#longName = content.replace(/\0+$/, "");
      return;
    }
    // pax records: "<length> <key>=<value>\n"
    for (const line of content.split("\n")) {
      const [, key, value] = /^\d+ ([^=]+)=(.*)$/.exec(line) ?? [];
      if (key === "path") this.#longName = value;
      if (key === "size") this.#longSize = Number(value);
    }
  }
}

function text(block: Buffer, at: number, length: number): string {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? length : end);
}

/** Octal, or base 256 where the first bit is set (GNU, for 8 GiB and more). */
function sizeIn(block: Buffer): number {
  if (((block[124] ?? 0) & 0x80) === 0)
    return Number.parseInt(text(block, 124, 12).trim() || "0", 8);
  return block.subarray(125, 136).reduce((sum, byte) => sum * 256 + byte, 0);
}

/** Sum of all bytes of a header, its own checksum field counted as spaces. */
function sumOf(block: Buffer): number {
  return block.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0);
}
