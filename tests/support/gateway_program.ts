/** The gateway as a process of its own, so that its memory, its time and its end are its own. Run as a program it is that process. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runGateway } from "../../lib/gateway/run.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";

/** Where it listens. */
interface Ports {
  readonly port: number;
  readonly peersPort?: number;
}

/** A gateway that runs by itself. */
export interface GatewayProgram {
  readonly url: string;
  readonly key: string;
  /** Where peers come in; undefined where its document names no place for them. */
  readonly peersPort: number | undefined;
  /** Its document, for a test that changes it. */
  readonly path: string;
  /** What it told an operator so far. */
  readonly notes: readonly string[];
  /** How it ended; undefined while it lives. */
  ended(): number | undefined;
  /** Resident memory in bytes. */
  memory(): number;
  /** Open file descriptors. */
  descriptors(): number;
  /** The document at /shelter/status. */
  status(): Promise<Record<string, unknown>>;
  /** Waits until all its engines are up. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

let made = 0;

/** Starts it over a document; address and key are filled in. */
export async function startGatewayProgram(
  folder: string,
  document: Record<string, unknown>,
): Promise<GatewayProgram> {
  const home = join(folder, `program-${++made}`);
  mkdirSync(home);
  const key = randomBytes(16).toString("hex");
  writeFileSync(join(home, "key"), key, { mode: 0o600 });
  const path = join(home, "gateway.json");
  const listen = { address: "127.0.0.1", port: 0, keyFile: join(home, "key") };
  writeFileSync(path, JSON.stringify({ schema: 1, host: "bench", listen, ...document }));
  const child = Bun.spawn([process.execPath, import.meta.path, home, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const notes: string[] = [];
  const { port, peersPort } = await new Promise<Ports>((resolve, reject) => {
    void eachLine(child.stdout, (line) => {
      const said = JSON.parse(line) as Ports | { readonly note: string };
      if ("note" in said) notes.push(said.note);
      else resolve(said);
    }).then(() => reject(new Error("the gateway did not start")));
  });
  const url = `http://127.0.0.1:${port}`;
  const status = async () => {
    const headers = { Authorization: `Bearer ${key}` };
    // a connection that is kept would count among its descriptors
    const response = await fetch(`${url}/shelter/status`, { headers, keepalive: false });
    return (await response.json()) as Record<string, unknown>;
  };
  return {
    url,
    key,
    peersPort,
    path,
    notes,
    status,
    ended: () => child.exitCode ?? undefined,
    memory: () =>
      Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) *
      1024,
    descriptors: () => readdirSync(`/proc/${child.pid}/fd`).length,
    async settled() {
      for (;;) {
        const { engines } = (await status()) as { engines: { state: string }[] };
        if (engines.every((one) => one.state === "up")) return;
        await Bun.sleep(100);
      }
    },
    async stop() {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

async function eachLine(from: ReadableStream<Uint8Array>, take: (line: string) => void) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of from as unknown as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(take);
  }
}

if (import.meta.main) {
  const [home = "", path = ""] = process.argv.slice(2);
  const stopping = new AbortController();
  process.on("SIGTERM", () => stopping.abort(new Error("told to stop")));
  const say = (value: object) => console.log(JSON.stringify(value));
  // not awaited here: while a module waits, Bun 1.4.4 prints an error that nobody took, and goes on
  void runGateway(
    {
      probe: createProbe(thisMachine(), home, "bench"),
      path,
      onReady: say,
      onNote: (note) => say({ note }),
    },
    stopping.signal,
  );
}
