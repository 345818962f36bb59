/** One member of a zip archive, which is what a Python wheel is. Layout: PKWARE APPNOTE.TXT 6.3.10, 4.3 and 4.5.3 (zip64). */
import { closeSync, createReadStream, fstatSync, openSync, readSync } from "node:fs";
import { Readable } from "node:stream";
import { createInflateRaw } from "node:zlib";
import { CHUNK, damaged, flowInto, type ExtractOptions } from "./extract.ts";

/** Where a member's packed bytes stand in the archive. */
interface Member {
  readonly start: number;
  readonly packed: number;
  readonly size: number;
  readonly deflated: boolean;
}
type Read = (offset: number, length: number) => Buffer;

/** Largest index that is read: several hundred thousand members. */
const INDEX_LIMIT = 64 * 1024 * 1024;
const ABSENT_32 = 0xffffffff;

/**
 * Writes the member called `name` of the zip archive at `archive` to the file `to` (both real paths).
 * @throws IntegrityError where the archive is damaged, holds no such member, or one that unpacks to more than `limit` bytes.
 */
export async function extractFromZip(
  archive: string,
  name: string,
  to: string,
  options: ExtractOptions,
): Promise<void> {
  const member = find(archive, name);
  const packed =
    member.packed === 0
      ? Readable.from([])
      : createReadStream(archive, {
          start: member.start,
          end: member.start + member.packed - 1,
          highWaterMark: CHUNK,
        });
  const inflate = member.deflated ? [createInflateRaw({ chunkSize: CHUNK })] : [];
  const done = await flowInto(to, [packed, ...inflate], archive, options);
  if (done !== member.size) {
    throw damaged(archive, `"${name}" unpacks to ${done} bytes, its index says ${member.size}`);
  }
}

function find(archive: string, name: string): Member {
  const handle = openSync(archive, "r");
  try {
    const { size } = fstatSync(handle);
    const read: Read = (offset, length) => {
      if (offset < 0 || length < 0 || offset + length > size) {
        throw damaged(archive, `it points to byte ${offset + length} of ${size}`);
      }
      const buffer = Buffer.alloc(length);
      if (readSync(handle, buffer, 0, length, offset) !== length) {
        throw damaged(archive, "it ends early");
      }
      return buffer;
    };
    const index = readIndex(archive, size, read);
    const wanted = Buffer.from(name);
    for (let at = 0; at + 46 <= index.length && index.readUInt32LE(at) === 0x02014b50;) {
      const nameEnd = at + 46 + index.readUInt16LE(at + 28);
      const next = nameEnd + index.readUInt16LE(at + 30) + index.readUInt16LE(at + 32);
      if (next > index.length) break;
      if (index.subarray(at + 46, nameEnd).equals(wanted)) {
        return locate(archive, name, index.subarray(at, next), size, read);
      }
      at = next;
    }
  } finally {
    closeSync(handle);
  }
  throw damaged(archive, `it holds no "${name}"`);
}

function readIndex(archive: string, size: number, read: Read): Buffer {
  const tailAt = Math.max(0, size - 65_557); // the end record with its longest comment
  const tail = read(tailAt, size - tailAt);
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || end + 22 > tail.length) {
    throw damaged(archive, "it is no zip archive, or its end is missing");
  }
  let length = tail.readUInt32LE(end + 12);
  let offset = tail.readUInt32LE(end + 16);
  const locator = end - 20;
  if (locator >= 0 && tail.readUInt32LE(locator) === 0x07064b50) {
    const record = read(Number(tail.readBigUInt64LE(locator + 8)), 56);
    if (record.readUInt32LE(0) !== 0x06064b50) throw damaged(archive, "its zip64 end is missing");
    length = Number(record.readBigUInt64LE(40));
    offset = Number(record.readBigUInt64LE(48));
  }
  if (length > INDEX_LIMIT) throw damaged(archive, `its index claims ${length} bytes`);
  return read(offset, length);
}

function locate(archive: string, name: string, entry: Buffer, size: number, read: Read): Member {
  if ((entry.readUInt16LE(8) & 1) !== 0) throw damaged(archive, `"${name}" is encrypted`);
  const method = entry.readUInt16LE(10);
  if (method !== 0 && method !== 8) {
    throw damaged(archive, `"${name}" is packed by method ${method}, which is not read here`);
  }
  const extraAt = 46 + entry.readUInt16LE(28);
  const wide = zip64Values(entry.subarray(extraAt, extraAt + entry.readUInt16LE(30)));
  const field = (at: number) => {
    const short = entry.readUInt32LE(at);
    if (short !== ABSENT_32) return short;
    const value = wide.shift();
    if (value === undefined) throw damaged(archive, `"${name}" has no zip64 sizes`);
    return value;
  };
  // zip64 gives only the values that are absent from the short fields, in this order
  const unpacked = field(24);
  const packed = field(20);
  const offset = field(42);
  const local = read(offset, 30);
  if (local.readUInt32LE(0) !== 0x04034b50) throw damaged(archive, `"${name}" has no header`);
  const start = offset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
  if (start + packed > size) throw damaged(archive, `"${name}" ends after the archive does`);
  return { start, packed, size: unpacked, deflated: method === 8 };
}

function zip64Values(extra: Buffer): number[] {
  for (let at = 0; at + 4 <= extra.length;) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1 && end <= extra.length) {
      const values: number[] = [];
      for (let i = at + 4; i + 8 <= end; i += 8) values.push(Number(extra.readBigUInt64LE(i)));
      return values;
    }
    at = end;
  }
  return [];
}
