/** A scripted engine behind a real loopback port, with /health and a key like llama-server's. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  scriptedEngine,
  type Script,
  type ScriptedEngine,
  type Trouble,
} from "./scripted_engine.ts";

export interface EngineServer extends ScriptedEngine {
  readonly url: string;
  readonly keyFile: string;
  /** How often its health was looked at. */
  looks: number;
  /** Closes the port and every stream, as a killed engine does. */
  kill(): void;
  /** Opens the port again. */
  revive(): void;
  /** Says nothing more until `thaw`, on no connection, as a stopped process does; what was sent to it waits. */
  freeze(): void;
  thaw(): void;
}

let made = 0;

/** Serves a scripted engine; requests without the key are refused. `pace` is the pause before each piece of a stream, in milliseconds. */
export function serveScripted(
  folder: string,
  script: Script,
  troubles: readonly Trouble[] = [],
  pace = 0,
): EngineServer {
  const engine = scriptedEngine(script, troubles);
  const key = `engine-key-${++made}`;
  const keyFile = join(folder, key);
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  let frozen: Promise<void> | undefined;
  let thaw = () => undefined as void;
  const open = (port: number) =>
    Bun.serve({
      hostname: "127.0.0.1",
      port,
      idleTimeout: 0,
      async fetch(request) {
        const { pathname } = new URL(request.url);
        await frozen;
        if (pathname === "/health") {
          served.looks++;
          return Response.json({ status: "ok" });
        }
        if (request.headers.get("authorization") !== `Bearer ${key}`) {
          return Response.json(
            { error: { message: "Invalid API Key", type: "authentication_error", code: 401 } },
            { status: 401 },
          );
        }
        const body = request.method === "POST" ? await request.text() : undefined;
        const response = await engine.dial(request.url, {
          method: request.method === "POST" ? "POST" : "GET",
          headers: Object.fromEntries(request.headers.entries()),
          ...(body === undefined ? {} : { body }),
          signal: request.signal,
        });
        if (pace === 0 || !response.body) return response;
        const slowed = response.body.pipeThrough(
          new TransformStream<Uint8Array, Uint8Array>({
            async transform(piece, controller) {
              await Bun.sleep(pace);
              await frozen;
              controller.enqueue(piece);
            },
          }),
        );
        return new Response(slowed, { status: response.status, headers: response.headers });
      },
    });
  let server = open(0);
  const { port } = server;
  const served: EngineServer = Object.assign(engine, {
    looks: 0,
    url: `http://127.0.0.1:${port}`,
    keyFile,
    kill: () => void server.stop(true),
    revive: () => {
      server = open(port ?? 0);
    },
    freeze: () => {
      frozen ??= new Promise((resolve) => (thaw = resolve));
    },
    thaw: () => {
      frozen = undefined;
      thaw();
    },
  });
  return served;
}
