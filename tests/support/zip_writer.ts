/** Writes small zip archives for tests, deflated or stored, with zip64 sizes where wanted. */
import { deflateRawSync } from "node:zlib";

/** One member. `claims` is the size that the index gives where it should lie. */
export interface ZipMember {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly stored?: boolean;
  readonly claims?: number;
  readonly flags?: number;
  readonly method?: number;
  readonly wide?: boolean;
}

/** The archive's bytes. */
export function zipFile(members: readonly ZipMember[]): Uint8Array {
  const parts: Buffer[] = [];
  const index: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes, stored, claims, flags = 0, method, wide } of members) {
    const packed = stored ? Buffer.from(bytes) : deflateRawSync(bytes);
    const title = Buffer.from(name);
    const how = method ?? (stored ? 0 : 8);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(how, 8);
    local.writeUInt32LE(packed.length, 18);
    local.writeUInt32LE(bytes.length, 22);
    local.writeUInt16LE(title.length, 26);
    local.writeUInt16LE(4, 28); // an extra field that only the local header has
    const size = claims ?? bytes.length;
    const extra = wide ? Buffer.alloc(28) : Buffer.alloc(0);
    if (wide) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(size), 4);
      extra.writeBigUInt64LE(BigInt(packed.length), 12);
      extra.writeBigUInt64LE(BigInt(offset), 20);
    }
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(how, 10);
    entry.writeUInt32LE(wide ? 0xffffffff : packed.length, 20);
    entry.writeUInt32LE(wide ? 0xffffffff : size, 24);
    entry.writeUInt16LE(title.length, 28);
    entry.writeUInt16LE(extra.length, 30);
    entry.writeUInt32LE(wide ? 0xffffffff : offset, 42);
    index.push(entry, title, extra);
    parts.push(local, title, Buffer.alloc(4), packed);
    offset += 30 + title.length + 4 + packed.length;
  }
  const directory = Buffer.concat(index);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, directory, end]);
}
