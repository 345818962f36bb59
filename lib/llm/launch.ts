/** An engine program as a child of ours, whatever it serves: its key, its port, ready only after a real completion, and gone when we are. */
import { ShelterError } from "../errors.ts";
import type { Child, Ended } from "../machine/process.ts";
import type { CallContext } from "../unit.ts";
import { complete, type Asked } from "./complete.ts";
import { deviceBuffers, offloadedLayers, weightBuffers } from "./offload.ts";
import type { Profile } from "./settings.ts";

/** An engine that serves. */
export interface Launched extends Asked {
  /** e.g. "http://127.0.0.1:40123", without a slash at its end. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Holds the API key; mode 0600. */
  readonly keyFile: string;
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
  /** Ends it, gently and then not. Can be called again. */
  stop(): Promise<void>;
}

/** What to start, and what tells that it serves. */
export interface Launch {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly port: number;
  /** A file with the key that the engine wants to see. */
  readonly keyFile: string;
  /** The model that must answer; `ask` names it in the request, for an engine that serves several. */
  readonly model: { readonly name: string; readonly ask: boolean; readonly profile: Profile };
  /** Milliseconds until it must have answered. */
  readonly patience: number;
  /** What it has said so far, for where its weights went. Read once, when it has answered. */
  readonly said: () => string;
  /** Given its output as it comes. */
  readonly heard?: (chunk: Uint8Array) => void;
  /** Called when it has been stopped. */
  readonly over?: () => void;
}

/**
 * What every engine program is started with. GCC's OpenMP lets a thread that waits for the others spin for milliseconds; where anything else wants the cores,
 * what it waits for can't run meanwhile. Measured, two engines with 2 threads each on 2 cores: 5 tokens/s each with the default, 47 with 1000 turns, and one
 * alone loses nothing (251 against 236); llama.cpp without OpenMP 2, and with no spinning at all 98 but a third of the speed alone.
 */
export const ENGINE_ENVIRONMENT: Readonly<Record<string, string>> = { GOMP_SPINCOUNT: "1000" };

/** How long a stopping engine may take before it is killed, in milliseconds. */
const GRACE = 5000;
const POLL = 50;
/** Characters of the engine's last words that are kept for an error. */
const LAST_WORDS = 4000;

/** Five minutes, and one second per 20 MB of model: it comes from a slow disk. Milliseconds. */
export function usualPatience(bytes: number): number {
  return 300_000 + bytes / 20_000;
}

/**
 * Starts an engine and waits until it has really answered. It is stopped when `context.signal` fires, and by the kernel if we are killed.
 * @throws ShelterError "engine-died" with its last words, "engine-not-ready" after `patience`, "gpu-not-used" where the profile asks for a GPU and
 * no weights are on one, or the reason of the signal. Nothing of it is left running then.
 */
export async function launch(context: CallContext, options: Launch): Promise<Launched> {
  const { probe, act, signal } = context;
  const { port, keyFile, model, heard } = options;
  const key = probe.text(keyFile)?.split("\n", 1)[0]?.trim();
  if (!key) {
    throw new ShelterError("engine-key", `the key file ${keyFile}`, "it can't be read or is empty");
  }
  const began = performance.now();
  const child = act.start(options.argv, { env: { ...ENGINE_ENVIRONMENT, ...options.env } });
  if (heard) child.onOutput((_, chunk) => heard(chunk));
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
    options.over?.();
  };
  // whoever has it stops it too, and is told there what failed: thrown here it would end us before anything was taken back
  const onAbort = () => void stop().catch(() => undefined);
  signal.addEventListener("abort", onAbort, { once: true });
  const server: Omit<Launched, "devices" | "readyMs"> = {
    url,
    port,
    pid: child.pid,
    keyFile,
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
    await whenReady(server, () => gone, words, options, signal);
    const { profile } = model;
    const text = profile.gpuLayers === 0 ? "" : options.said();
    const devices = deviceBuffers(weightBuffers(text));
    assertOnDevice(profile, devices, offloadedLayers(text), model.name);
    return { ...server, devices, readyMs: performance.now() - began };
  } catch (error) {
    await stop();
    signal.throwIfAborted();
    throw error;
  }
}

/** Health first, then one real token: a wedged engine says it is healthy. */
async function whenReady(
  server: Asked & Pick<Launched, "get">,
  gone: () => Ended | undefined,
  words: () => string,
  { model: { name: model, ask }, patience }: Launch,
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
      ...(ask ? { model } : {}),
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
