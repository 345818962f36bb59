/** Real engines and a real gateway on loopback ports of their own, and clients that measure what they see. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runGateway } from "../../lib/gateway/run.ts";
import { liveBuild } from "../../lib/llm/builds.ts";
import { installedModels } from "../../lib/llm/store.ts";
import { createAct } from "../../lib/machine/act.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { engineHome } from "./engine_home.ts";

/** The engine's program and a model for it. */
export interface EngineFiles {
  readonly program: string;
  readonly model: string;
}

/** The engine's own, built and fetched; SHELTER_TEST_LLAMA_SERVER and SHELTER_TEST_MODEL name ones that are there already. */
export async function engineFiles(): Promise<EngineFiles> {
  const program = process.env["SHELTER_TEST_LLAMA_SERVER"];
  const given = process.env["SHELTER_TEST_MODEL"];
  if (program !== undefined && given !== undefined) return { program, model: given };
  const probe = createProbe(thisMachine(), await engineHome(), "test");
  const build = liveBuild(probe);
  const [model] = await installedModels(probe);
  if (!build || !model) throw new Error("the engine's home has no live build, or no model");
  return { program: build.program("llama-server"), model: model.path };
}

/** A started llama-server. */
export interface RealEngine {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly keyFile: string;
  readonly ended: Promise<number>;
  signal(name: NodeJS.Signals): void;
  /** Starts it again at the same port. */
  again(): Promise<RealEngine>;
  stop(): Promise<void>;
}

/** A folder of the test's own. */
export function worldFolder(): { readonly folder: string; dispose(): void } {
  const folder = mkdtempSync(join(process.env["SHELTER_TEST_RUN"] ?? tmpdir(), "shelter-gateway-"));
  return { folder, dispose: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A free loopback port. */
export function freePort(): Promise<number> {
  const machine = thisMachine();
  return createAct(machine, createProbe(machine, "/nonexistent", "test")).freePort();
}

/** Starts an engine and waits until it has answered. */
export async function startEngine(
  files: EngineFiles,
  folder: string,
  options: { readonly port?: number; readonly slots?: number; readonly context?: number } = {},
): Promise<RealEngine> {
  const port = options.port ?? (await freePort());
  const keyFile = join(folder, `engine-${port}.key`);
  const key = randomBytes(16).toString("hex");
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  const slots = options.slots ?? 4;
  const child = Bun.spawn(
    [
      // the kernel ends it when the test is killed
      ...(existsSync(SETPRIV) ? [SETPRIV, "--pdeathsig", "KILL"] : []),
      files.program,
      ...[
        "--model",
        files.model,
        "--alias",
        "small",
        "--host",
        "127.0.0.1",
        "--port",
        String(port),
      ],
      ...["--api-key-file", keyFile, "--no-ui", "--offline", "--device", "none", "--threads", "1"],
      ...["--parallel", String(slots), "--ctx-size", String(options.context ?? slots * 2048)],
      ...[
        "--batch-size",
        "256",
        "--ubatch-size",
        "256",
        "--log-file",
        join(folder, `engine-${port}.log`),
      ],
    ],
    { stdio: ["ignore", "ignore", "ignore"] },
  );
  const url = `http://127.0.0.1:${port}`;
  const until = Date.now() + 120_000;
  for (;;) {
    const health = await fetch(`${url}/health`).catch(() => undefined);
    await health?.body?.cancel();
    if (health?.ok) break;
    if (child.exitCode !== null || Date.now() > until) {
      child.kill("SIGKILL");
      throw new Error(`the engine did not start: exit code ${child.exitCode}`);
    }
    await Bun.sleep(50);
  }
  return {
    url,
    port,
    pid: child.pid,
    keyFile,
    ended: child.exited,
    signal: (name) => child.kill(name),
    again: () => startEngine(files, folder, { ...options, port }),
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** An engine of the gateway's own host, as its document names it. */
export function localEngine(
  name: string,
  { url, keyFile }: { readonly url: string; readonly keyFile: string },
  slots = 4,
) {
  return { name, kind: "local", url, keyFile, slots };
}

/** A running gateway. */
export interface RunningGateway {
  readonly url: string;
  readonly key: string;
  readonly peersPort: number | undefined;
  /** Its document, for a test that changes it. */
  readonly path: string;
  readonly notes: string[];
  status(): Promise<Record<string, unknown>>;
  post(path: string, body: unknown, signal?: AbortSignal): Promise<Response>;
  stop(): Promise<void>;
}

const SETPRIV = "/usr/bin/setpriv";

let made = 0;

/** Starts a gateway in this process over a document; its address and key are filled in. Waits until its first engine is up, unless told not to. */
export async function startGateway(
  folder: string,
  document: Record<string, unknown>,
  wait = true,
): Promise<RunningGateway> {
  const home = join(folder, `gateway-${++made}`);
  mkdirSync(home);
  const key = randomBytes(16).toString("hex");
  const keyFile = join(home, "key");
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  const path = join(home, "gateway.json");
  writeFileSync(
    path,
    JSON.stringify({
      schema: 1,
      host: "here",
      listen: { address: "127.0.0.1", port: 0, keyFile },
      ...document,
    }),
  );
  const stopping = new AbortController();
  const notes: string[] = [];
  let ready: (ports: { port: number; peersPort?: number }) => void = () => undefined;
  const listening = new Promise<{ port: number; peersPort?: number }>(
    (resolve) => (ready = resolve),
  );
  const probe = createProbe(thisMachine(), home, "here");
  const ended = runGateway(
    { probe, path, onReady: (ports) => ready(ports), onNote: (note) => void notes.push(note) },
    stopping.signal,
  );
  const ports = await Promise.race([
    listening,
    ended.then(() => Promise.reject(new Error("it ended"))),
  ]);
  const url = `http://127.0.0.1:${ports.port}`;
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const gateway: RunningGateway = {
    url,
    key,
    peersPort: ports.peersPort,
    path,
    notes,
    status: async () =>
      (await (await fetch(`${url}/shelter/status`, { headers })).json()) as Record<string, unknown>,
    post: (path_, body, signal) =>
      fetch(url + path_, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
        ...(signal ? { signal } : {}),
        timeout: false,
      } as BunFetchRequestInit),
    async stop() {
      stopping.abort(new Error("the test is over"));
      await ended;
    },
  };
  const until = Date.now() + 60_000;
  for (;;) {
    if (!wait || (await fetch(`${url}/health`)).ok) return gateway;
    if (Date.now() > until)
      throw new Error(`no engine came up: ${JSON.stringify(await gateway.status())}`);
    await Bun.sleep(50);
  }
}
