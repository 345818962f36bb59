/** llama-server as a child of ours: on loopback, with a key of its own, ready only after a real completion, and gone when we are. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { Child, Ended } from "../machine/process.ts";
import type { CallContext } from "../unit.ts";
import { asOwner } from "./as_owner.ts";
import { complete, type Asked } from "./complete.ts";
import { deviceBuffers, offloadedLayers, weightBuffers } from "./offload.ts";
import type { Profile, ServedModel, ServingBuild } from "./settings.ts";
import { profileArguments } from "./profile_form.ts";

export { complete } from "./complete.ts";

/** What to serve, and how. */
export interface ServeOptions {
  readonly build: ServingBuild;
  readonly model: Pick<ServedModel, "name" | "path" | "bytes">;
  readonly profile: Profile;
  /** Loopback port; a free one when left out. */
  readonly port?: number;
  /** A file with the key of the operator's own choice; it stays. A fresh one is made, and removed at the end, when left out. */
  readonly keyFile?: string;
  /** Milliseconds until it must have answered; five minutes and one second per 20 MB of model when left out. */
  readonly patience?: number;
}

/** An engine that serves. */
export interface Server extends Asked {
  /** e.g. "http://127.0.0.1:40123", without a slash at its end. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Holds the API key; mode 0600. */
  readonly keyFile: string;
  /** Its own log: no prompts and no answers at this verbosity. */
  readonly log: string;
  /** Devices that hold weights, e.g. ["CUDA0"]; none for a CPU alone. */
  readonly devices: readonly string[];
  /** From starting it to its first answer, in milliseconds. */
  readonly readyMs: number;
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<Ended>;
  /** GETs a path of the engine with its key, e.g. "/health", "/slots". */
  get(path: string, signal?: AbortSignal): Promise<Response>;
  /** Memory that it holds now and held at most, in bytes; undefined once it is gone. */
  rss(): { readonly now: number; readonly peak: number } | undefined;
  /** Ends it, gently and then not, and removes its key. Can be called again. */
  stop(): Promise<void>;
}

/** How long a stopping engine may take before it is killed, in milliseconds. */
const GRACE = 5000;
const POLL = 50;
/** Logs of earlier engines that are kept. */
const LOGS_KEPT = 10;
/** Characters of the engine's last words that are kept for an error. */
const LAST_WORDS = 4000;

/**
 * Starts llama-server and waits until it has really answered. It is stopped when `context.signal` fires, and by the kernel if we are killed.
 * @throws ShelterError "engine-died" with its last words, "engine-not-ready" after `patience`, "gpu-not-used" where the profile asks for a GPU and
 * no weights are on one, or the reason of the signal. Nothing of it is left running then.
 */
export async function startServer(context: CallContext, options: ServeOptions): Promise<Server> {
  const { probe, act, signal } = context;
  const { build, model, profile } = options;
  signal.throwIfAborted();
  const port = options.port ?? (await act.freePort());
  const id = randomBytes(6).toString("hex");
  const keyFile = options.keyFile ?? inHome.keys(probe.home, `engine-${id}`);
  if (options.keyFile === undefined) {
    act.makeFolder(inHome.keys(probe.home));
    act.write(keyFile, `${randomBytes(32).toString("hex")}\n`, 0o600);
  }
  const folder = inHome.work(probe.home, "server");
  act.makeFolder(folder);
  pruneLogs(context, folder);
  const log = inHome.work(probe.home, "server", `${id}.log`);
  const key = probe.text(keyFile)?.split("\n", 1)[0]?.trim();
  if (!key) {
    throw new ShelterError("engine-key", `the key file ${keyFile}`, "it can't be read or is empty");
  }
  const began = performance.now();
  const as = asOwner(probe, act);
  const child = act.start(
    [
      ...as.argv,
      act.real(build.program("llama-server")),
      "--model",
      act.real(model.path),
      "--alias",
      model.name,
      "--host",
      "127.0.0.1",
      "--port",
      String(port),
      "--api-key-file",
      act.real(keyFile),
      "--cors-origins",
      "localhost",
      "--no-ui",
      "--offline",
      "--log-file",
      act.real(log),
      // 3 says what it does; 4 adds where the weights went, and no prompt either (5 would)
      "--log-verbosity",
      profile.gpuLayers === 0 ? "3" : "4",
      ...profileArguments(profile),
    ],
    { env: as.env },
  );
  const words = lastWords(child);
  let gone: Ended | undefined;
  const ended = child.ended.then((how) => (gone = how));
  const url = `http://127.0.0.1:${port}`;
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const ask = (path: string, init: BunFetchRequestInit) => {
    const both = [signal, ...(init.signal ? [init.signal] : [])];
    // a long prompt is silent for minutes: Bun's own idle limit must not cut it
    return probe.get(url + path, {
      ...init,
      headers,
      timeout: false,
      signal: AbortSignal.any(both),
    } as RequestInit);
  };
  const stop = async () => {
    signal.removeEventListener("abort", onAbort);
    if (!gone) {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), GRACE);
      await ended;
      clearTimeout(timer);
    }
    if (options.keyFile === undefined) act.remove(keyFile);
  };
  const onAbort = () => void stop();
  signal.addEventListener("abort", onAbort, { once: true });
  const server: Omit<Server, "devices" | "readyMs"> = {
    url,
    port,
    pid: child.pid,
    keyFile,
    log,
    ended,
    stop,
    get: (path, until) => ask(path, until ? { signal: until } : {}),
    post: (path, body, until) =>
      ask(path, {
        method: "POST",
        body: JSON.stringify(body),
        ...(until ? { signal: until } : {}),
      }),
    rss: () => {
      const status = probe.text(`/proc/${child.pid}/status`) ?? "";
      const kib = (name: string) =>
        Number(new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(status)?.[1]);
      const [now, peak] = [kib("VmRSS") * 1024, kib("VmHWM") * 1024];
      return Number.isNaN(now) || Number.isNaN(peak) || gone ? undefined : { now, peak };
    },
  };
  try {
    const patience = options.patience ?? 300_000 + model.bytes / 20_000;
    await whenReady(server, () => gone, words, model.name, patience, signal);
    const text = profile.gpuLayers === 0 ? "" : (probe.text(log) ?? "");
    const devices = deviceBuffers(weightBuffers(text));
    assertOnDevice(profile, devices, offloadedLayers(text), model.name);
    return { ...server, devices, readyMs: performance.now() - began };
  } catch (error) {
    await stop();
    signal.throwIfAborted();
    throw error;
  }
}

/** Leaves room for one more among the logs that are kept. */
function pruneLogs({ probe, act }: CallContext, folder: string): void {
  const logs = probe.list(folder).flatMap((name) => {
    const entry = name.endsWith(".log") ? probe.stat(join(folder, name)) : undefined;
    return entry ? [entry] : [];
  });
  const oldest = logs.sort((a, b) => b.mtime - a.mtime).slice(LOGS_KEPT - 1);
  for (const { path } of oldest) act.remove(path);
}

/** Health first, then one real token: a wedged engine says it is healthy. */
async function whenReady(
  server: Asked & Pick<Server, "get">,
  gone: () => Ended | undefined,
  words: () => string,
  model: string,
  patience: number,
  signal: AbortSignal,
): Promise<void> {
  const until = performance.now() + patience;
  const late = AbortSignal.timeout(Math.ceil(patience));
  for (;;) {
    signal.throwIfAborted();
    const ended = gone();
    if (ended) throw died(ended, words(), model);
    if (performance.now() > until) throw notReady(model, patience);
    try {
      const health = await server.get("/health", late);
      await health.body?.cancel();
      if (health.ok) break;
    } catch {
      // it does not listen yet; whether it lives is looked at in the next turn
    }
    await Bun.sleep(POLL);
  }
  try {
    await complete(server, {
      messages: [{ role: "user", content: "Hi" }],
      maxTokens: 1,
      signal: late,
    });
  } catch (error) {
    signal.throwIfAborted();
    await Bun.sleep(POLL); // a crash breaks the answer off a moment before the child's end is known
    const ended = gone();
    if (ended) throw died(ended, words(), model);
    if (late.aborted) throw notReady(model, patience);
    throw error;
  }
}

/** Falling back to the CPU in silence is an error of its own. */
function assertOnDevice(
  profile: Profile,
  devices: readonly string[],
  layers: number | undefined,
  model: string,
): void {
  const { gpuLayers } = profile;
  if (gpuLayers === 0) return;
  const fix = ["./bin/01_validate_prereqs"];
  if (devices.length === 0) {
    throw new ShelterError(
      "gpu-not-used",
      `serving ${model} on the GPU`,
      "the engine loaded it, but all of its weights are in the CPU's memory",
      fix,
    );
  }
  if (gpuLayers !== "fit" && layers !== undefined && layers < gpuLayers) {
    throw new ShelterError(
      "gpu-not-used",
      `serving ${model} with ${gpuLayers} layers on the GPU`,
      `the engine put only ${layers} there`,
      fix,
    );
  }
}

function died(ended: Ended, words: string, model: string): ShelterError {
  const how =
    ended.error?.message ?? (ended.signal ? `signal ${ended.signal}` : `code ${ended.code}`);
  const said = words === "" ? "it said nothing" : `its last words: ${words}`;
  return new ShelterError(
    "engine-died",
    `serving ${model}`,
    `the engine ended with ${how}; ${said}`,
    ["./bin/03_build_llama_cpp", "--verify"],
  );
}

function notReady(model: string, patience: number): ShelterError {
  return new ShelterError(
    "engine-not-ready",
    `serving ${model}`,
    `the engine did not answer within ${Math.round(patience / 1000)} s`,
  );
}

/** The end of what a child says, its errors and warnings where it marks them. */
function lastWords(child: Child): () => string {
  let text = "";
  const decoder = new TextDecoder();
  child.onOutput((_, chunk) => {
    text = (text + decoder.decode(chunk, { stream: true })).slice(-LAST_WORDS);
  });
  return () => {
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    const marked = lines.filter((line) => /^[\d.]+ [EW] |error|failed|not supported/i.test(line));
    return (marked.length > 0 ? marked : lines).slice(-4).join(" | ");
  };
}
