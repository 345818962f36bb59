/** Fetching a file over HTTP, resumed from what is already there. */
import { createWriteStream, statSync } from "node:fs";
import { ShelterError } from "../errors.ts";
import type { Machine } from "./machine.ts";

/** How to fetch. */
export interface DownloadOptions {
  readonly signal?: AbortSignal;
  /** Told the bytes so far, those of an earlier try included, and the total (0 when the server does not say). */
  readonly onBytes?: (done: number, total: number) => void;
  /** More than this many bytes is an error: a source that never ends must not fill the disk. */
  readonly limit?: number;
  /** Size of the whole file. An answer of another size is refused before anything is written, and one that starts again does not cost what is there. */
  readonly expected?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Seconds without a byte after which a download is given up; the next try resumes it. */
const SILENCE = 60_000;

/**
 * Downloads `url` into the file at `path`, going on from its present length where the server takes a Range, else from the start.
 * @throws ShelterError "download-failed" with the server's answer; what was fetched stays, for the next try.
 */
export async function download(
  fetcher: Machine["fetch"],
  url: string,
  path: string,
  options: DownloadOptions = {},
): Promise<void> {
  const have = sizeOf(path);
  const silence = new AbortController();
  const signal = AbortSignal.any([silence.signal, ...(options.signal ? [options.signal] : [])]);
  let timer = setTimeout(() => silence.abort(), SILENCE);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE);
  };
  try {
    const response = await fetcher(url, {
      signal,
      headers: { ...options.headers, ...(have > 0 ? { Range: `bytes=${have}-` } : {}) },
    });
    if (response.status === 416 && have > 0) {
      // either it is whole already, or it is not the same file any more: the hash will tell, and a fresh start mends it
      await response.body?.cancel();
      return;
    }
    if (!response.ok || !response.body) throw refused(url, `HTTP ${response.status}`);
    const resumed = response.status === 206;
    const range = response.headers.get("content-range");
    if (resumed && range !== null && !range.startsWith(`bytes ${have}-`)) {
      throw refused(url, `it answers with "${range}", asked for from byte ${have}`);
    }
    const start = resumed ? have : 0;
    const length = Number(response.headers.get("content-length") ?? 0);
    const total = length > 0 ? start + length : 0;
    if (options.expected !== undefined && total > 0 && total !== options.expected) {
      await response.body.cancel();
      const why = `it has ${total} bytes, ${options.expected} are wanted: it is another file`;
      throw new ShelterError("wrong-length", `downloading ${url}`, why);
    }
    // a server that knows no ranges sends all again: where the size is known, what we have is passed over and not thrown away
    let pass = !resumed && options.expected !== undefined ? have : 0;
    const append = resumed || pass > 0;
    const file = createWriteStream(path, { flags: append ? "a" : "w", mode: 0o600 });
    const failed = new Promise<never>((_, reject) => file.once("error", reject));
    failed.catch(() => undefined); // awaited below through the race
    let done = start;
    try {
      for await (const received of response.body as ReadableStream<Uint8Array>) {
        heard();
        done += received.byteLength;
        const passed = Math.min(pass, received.byteLength);
        pass -= passed;
        const chunk = passed > 0 ? received.subarray(passed) : received;
        if (options.limit !== undefined && done > options.limit) {
          throw refused(url, `it sends more than the ${options.limit} bytes that were expected`);
        }
        if (!file.write(chunk)) {
          await Promise.race([new Promise((resolve) => file.once("drain", resolve)), failed]);
        }
        options.onBytes?.(done, total);
      }
    } finally {
      await Promise.race([new Promise<void>((resolve) => file.end(() => resolve())), failed]);
    }
    if (total > 0 && done < total) throw refused(url, `it ended after ${done} of ${total} bytes`);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (silence.signal.aborted) throw refused(url, `no byte came for ${SILENCE / 1000} s`);
    if (error instanceof ShelterError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") {
      throw new ShelterError("disk-full", `saving ${url}`, "the disk is full", ["df", "-h"]);
    }
    throw refused(url, message);
  } finally {
    clearTimeout(timer);
  }
}

function refused(url: string, why: string): ShelterError {
  return new ShelterError("download-failed", `downloading ${url}`, why);
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
