/**
 * Writing large pieces past the kernel's cache (open(2), O_DIRECT): they go to the disk as they are, without a copy, and without pushing out of memory what is
 * used there, e.g. the weights of a model that is being served. Where the file system can't, as any write does.
 */
import { closeSync, constants, openSync, write } from "node:fs";

/** What place, length and memory of such a write must be a multiple of: a page, which covers the blocks of every disk. */
export const BLOCK = 4096;

/** Memory that begins where a page does. */
export async function alignedBuffer(bytes: number): Promise<Buffer> {
  const { ptr } = await import("bun:ffi");
  const memory = new Uint8Array(bytes + BLOCK);
  return Buffer.from(memory.buffer, (BLOCK - (ptr(memory) % BLOCK)) % BLOCK, bytes);
}

/** Writes one piece after the other into an open file, each while the next is being made. */
export class DirectWriter {
  #direct: number | undefined;
  #going: Promise<void> = Promise.resolve();

  /** @param file open for writing, and closed by its opener after `close`. */
  constructor(private readonly file: number) {
    try {
      this.#direct = openSync(
        `/proc/self/fd/${file}`,
        constants.O_WRONLY | (constants.O_DIRECT ?? 0),
      );
    } catch {
      // EINVAL: this file system has no such way
    }
  }

  /** Whether whole blocks go past the cache. */
  get direct(): boolean {
    return this.#direct !== undefined;
  }

  /** Begins to write `piece` at the byte `at`, once the one before is written; it must not change until the next call has returned. @throws what the one before met */
  async write(piece: Uint8Array, at: number): Promise<void> {
    await this.#going;
    const going = this.#put(piece, at);
    going.catch(() => undefined); // thrown by the next call
    this.#going = going;
  }

  /** Waits until all is written. @throws what the last piece met */
  settled(): Promise<void> {
    return this.#going;
  }

  /** Waits for what is being written and lets go. Never throws. */
  async close(): Promise<void> {
    await this.#going.catch(() => undefined);
    if (this.#direct !== undefined) closeSync(this.#direct);
    this.#direct = undefined;
  }

  async #put(piece: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < piece.length;) {
      const rest = piece.subarray(done);
      const fits = (at + done) % BLOCK === 0 && rest.length % BLOCK === 0 && done % BLOCK === 0;
      const direct = fits ? this.#direct : undefined;
      try {
        done += await written(direct ?? this.file, rest, at + done);
      } catch (error) {
        // a disk of larger blocks
        if (direct === undefined || (error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
        closeSync(direct);
        this.#direct = undefined;
      }
    }
  }
}

function written(file: number, piece: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(file, piece, 0, piece.length, at, (error, bytes) =>
      error ? reject(error) : resolve(bytes),
    );
  });
}
