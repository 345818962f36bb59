/** Taking one member out of an archive, streamed: our memory stays small whatever the member's size, and its name is only compared, never used as a path. */
import { createWriteStream } from "node:fs";
import { Transform, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { IntegrityError, ShelterError } from "../errors.ts";

/** How to take a member out. */
export interface ExtractOptions {
  readonly signal?: AbortSignal;
  /** Told the bytes written so far. */
  readonly onBytes?: (done: number) => void;
  /** More than this many bytes is an error: a small archive can unpack without end. */
  readonly limit: number;
}

/** Bytes handed on at once. */
export const CHUNK = 1024 * 1024;

/**
 * Lets `streams` flow into a new file at `to`, a real path, and tells how many bytes were written.
 * @throws IntegrityError where more than the limit comes or a decompressor finds damage; ShelterError "disk-full".
 */
export async function flowInto(
  to: string,
  streams: readonly [Readable, ...Transform[]],
  archive: string,
  options: ExtractOptions,
): Promise<number> {
  let done = 0;
  const meter = new Transform({
    transform(chunk: Uint8Array, _encoding, next) {
      done += chunk.byteLength;
      if (done > options.limit)
        return next(damaged(archive, `it unpacks to more than ${options.limit} bytes`));
      options.onBytes?.(done);
      next(null, chunk);
    },
  });
  try {
    await pipeline(
      [...streams, meter, createWriteStream(to, { mode: 0o600 })],
      options.signal ? { signal: options.signal } : {},
    );
  } catch (error) {
    options.signal?.throwIfAborted();
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") {
      throw new ShelterError("disk-full", `unpacking ${archive}`, "the disk is full", ["df", "-h"]);
    }
    if (
      code.startsWith("Z_") ||
      code.startsWith("ERR_") ||
      /zlib|inflate|gzip|incorrect|unexpected end/i.test(message)
    ) {
      if (!(error instanceof ShelterError)) throw damaged(archive, message);
    }
    throw error;
  }
  return done;
}

/** The error for an archive that is not whole. */
export function damaged(archive: string, why: string): IntegrityError {
  return new IntegrityError("archive-damaged", `unpacking ${archive}`, why);
}
