/** A home to fetch into, and servers on loopback that behave, lie and break off. */
import { expect } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ShelterError } from "../../lib/errors.ts";
import { createAct } from "../../lib/machine/act.ts";
import { sha256 } from "../../lib/machine/hash.ts";
import { thisMachine, type Machine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { fetchVerified, partOf } from "../../lib/machine/sources.ts";
import type { CallContext, Source } from "../../lib/unit.ts";
import { SILENT } from "./run.ts";

export const BYTES = Buffer.from(
  Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31 + (i >> 9)) & 255),
);
export const HASH = sha256(BYTES);

const cleanups: (() => void)[] = [];
/** Ends all servers and removes all homes of a test. */
export function cleanUp(): void {
  for (const clean of cleanups.splice(0)) clean();
}

export interface Place extends CallContext {
  readonly home: string;
  readonly to: string;
  readonly progress: { done: number; total: number }[];
  readonly stop: AbortController;
}
export function place(change: Partial<Machine> = {}): Place {
  const home = mkdtempSync(join(tmpdir(), "sources-"));
  cleanups.push(() => rmSync(home, { recursive: true, force: true }));
  const machine = { ...thisMachine(), durable: false, ...change };
  const probe = createProbe(machine, home, "testhost");
  const progress: { done: number; total: number }[] = [];
  const say = {
    ...SILENT,
    progress: (_: string, done: number, total: number) => void progress.push({ done, total }),
  };
  const stop = new AbortController();
  const to = join(home, "models", "sha256", HASH);
  return {
    home,
    to,
    progress,
    stop,
    probe,
    act: createAct(machine, probe),
    say,
    signal: stop.signal,
  };
}
export const bring = (at: Place, from: readonly Source[], hash = HASH, bytes = BYTES.length) =>
  fetchVerified(at, from, at.to, hash, bytes);
export async function failure(work: Promise<void>): Promise<ShelterError> {
  try {
    await work;
  } catch (error) {
    expect(error).toBeInstanceOf(ShelterError);
    return error as ShelterError;
  }
  throw new Error("it was taken");
}
export const quarantined = (at: Place) => {
  const folder = join(at.home, "runtime", "quarantine");
  return existsSync(folder) ? readdirSync(folder) : [];
};
/** A part of an earlier run. */
export function havePart(at: Place, bytes: Uint8Array) {
  const part = partOf(at.home, HASH);
  mkdirSync(join(part, ".."), { recursive: true });
  writeFileSync(part, bytes);
}

export type Answer = (request: Request, count: number) => Response | Promise<Response>;
export function serve(answer: Answer): { url: string; ranges: (string | null)[] } {
  const ranges: (string | null)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      ranges.push(request.headers.get("range"));
      return answer(request, ranges.length);
    },
  });
  cleanups.push(() => void server.stop(true));
  return { url: `http://127.0.0.1:${server.port}/model.gguf`, ranges };
}
/** What a server that knows ranges sends. */
export function ranged(request: Request, bytes: Uint8Array = BYTES): Response {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
  if (from >= bytes.length && from > 0) return new Response("", { status: 416 });
  const body = Uint8Array.from(bytes.subarray(from));
  if (from === 0) return new Response(body);
  return new Response(body, {
    status: 206,
    headers: { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` },
  });
}
/** A server that writes raw bytes and hangs up: what Bun.serve is too well-behaved for. */
export async function serveRaw(answer: (socket: Socket, request: string, count: number) => void) {
  const requests: string[] = [];
  const server: Server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (data) => {
      requests.push(data.toString());
      answer(socket, data.toString(), requests.length);
    });
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  cleanups.push(() => void server.close());
  const address = server.address();
  const port = address && typeof address === "object" ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/model.gguf`, requests };
}
