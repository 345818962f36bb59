/** The gateway as a process of its own, so that its memory and its time are its own. Run as a program it is that process. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runGateway } from "../../lib/gateway/run.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";

/** A gateway that runs by itself. */
export interface GatewayProgram {
  readonly url: string;
  readonly key: string;
  /** Resident memory in bytes. */
  memory(): number;
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
  const { value } = await child.stdout.getReader().read();
  const { port } = JSON.parse(new TextDecoder().decode(value)) as { port: number };
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    key,
    memory: () =>
      Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) *
      1024,
    async settled() {
      for (;;) {
        const response = await fetch(`${url}/shelter/status`, {
          headers: { Authorization: `Bearer ${key}` },
        });
        const { engines } = (await response.json()) as { engines: { state: string }[] };
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

if (import.meta.main) {
  const [home = "", path = ""] = process.argv.slice(2);
  const stopping = new AbortController();
  process.on("SIGTERM", () => stopping.abort(new Error("told to stop")));
  const onReady = (ready: { port: number }) => console.log(JSON.stringify(ready));
  await runGateway(
    { probe: createProbe(thisMachine(), home, "bench"), path, onReady },
    stopping.signal,
  );
}
