/** Taking a stream of bytes into a file, and its SHA-256 in the same go: nobody else writes, so what was hashed is what stands there. */
import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
} from "node:fs";
import { ShelterError } from "../errors.ts";
import { alignedBuffer, BLOCK, DirectWriter } from "./direct.ts";

/** What is taken in. */
export interface Receiving {
  /** Bytes of the file that stand and stay; what is behind them goes. */
  readonly from: number;
  /** Bytes that the whole file has; more is not taken. */
  readonly most: number;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Longest wait for the next bytes, in milliseconds: a sender that stalls must not hold anything up. */
  readonly patience: number;
  /** Told how far it is by now, every two seconds where it moves: also while what stands is read again. */
  readonly onBytes?: (size: number) => void;
}

/** What then stands in the file. */
export interface Received {
  readonly size: number;
  /** Lower-case hex, of the whole file. */
  readonly sha256: string;
}

const CHUNK = 512 * 1024;
/** Bytes after which the disk is told to take what came, while more comes. */
const FLUSH = 64 * 1024 * 1024;
/** Milliseconds between two words on how far it is. */
const SAY = 2000;

/**
 * Writes `bytes` into the file at `path` (a real path; no link is followed), made 0600 where missing. A stream that ends early leaves what came, to go on from.
 * @throws ShelterError "nothing-to-go-on-from", "too-long" or "sender-silent", or the system's error
 */
export async function receive(
  path: string,
  { from, most, bytes, patience, onBytes }: Receiving,
): Promise<Received> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const file = openSync(path, flags, 0o600);
  let flushing: Promise<void> | undefined;
  const writer = new DirectWriter(file);
  try {
    if (fstatSync(file).size < from) {
      throw new ShelterError(
        "nothing-to-go-on-from",
        `taking ${path}`,
        `it holds fewer than ${from} bytes`,
      );
    }
    ftruncateSync(file, from);
    const hasher = new Bun.CryptoHasher("sha256");
    // one is filled while the other is written
    let [buffer, other] = [await alignedBuffer(CHUNK), await alignedBuffer(CHUNK)];
    let size = 0;
    let told = performance.now();
    const tell = () => {
      const now = performance.now();
      if (now - told < SAY) return;
      told = now;
      onBytes?.(size);
    };
    while (size < from) {
      const read = readSync(file, buffer, 0, Math.min(CHUNK, from - size), size);
      if (read === 0) break;
      hasher.update(buffer.subarray(0, read));
      size += read;
      tell();
      // tens of gigabytes: what is said must go out meanwhile, and a hang-up be heard
      await new Promise((resolve) => setImmediate(resolve));
    }
    let flushed = size;
    let waiting = 0;
    /** What fits before the next write: after it the file ends where a block does. */
    const room = () => CHUNK - (size % BLOCK) - waiting;
    const put = async () => {
      await writer.write(buffer.subarray(0, waiting), size);
      [buffer, other] = [other, buffer];
      size += waiting;
      waiting = 0;
      tell();
      if (writer.direct || size - flushed < FLUSH) return;
      flushed = size;
      // what can't be flushed is told by the flush before it goes live
      flushing ??= new Promise<void>((resolve) => fdatasync(file, () => resolve())).then(
        () => void (flushing = undefined),
      );
    };
    const chunks = bytes[Symbol.asyncIterator]();
    for (;;) {
      const next = await within(patience, chunks.next(), path).catch(async (error: unknown) => {
        await put(); // to go on from
        throw error;
      });
      if (next.done === true) break;
      const chunk = next.value;
      if (size + waiting + chunk.length > most) {
        throw new ShelterError("too-long", `taking ${path}`, `more came than ${most} bytes`);
      }
      // few large writes: what comes through a pipe comes in many small pieces
      for (let at = 0; at < chunk.length;) {
        const part = chunk.subarray(at, at + room());
        buffer.set(part, waiting);
        hasher.update(part);
        waiting += part.length;
        at += part.length;
        if (room() === 0) await put();
      }
    }
    await put();
    await writer.settled();
    return { size, sha256: hasher.digest("hex") };
  } finally {
    await flushing; // its number may be another file's after the close
    await writer.close();
    closeSync(file);
  }
}

/** What `next` gives; throws where it takes longer than `patience`. */
function within<T>(patience: number, next: Promise<T>, path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const clock = setTimeout(() => {
      const silence = `nothing came for ${Math.round(patience / 1000)} s`;
      reject(new ShelterError("sender-silent", `taking ${path}`, silence));
    }, patience);
    next.then(resolve, reject).finally(() => clearTimeout(clock));
  });
}
