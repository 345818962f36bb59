/** llama-server in router mode as a child of ours: several models by name behind one port, each an instance of its own that the router starts. */
import { inHome } from "../keep/home.ts";
import type { CallContext } from "../unit.ts";
import { launch, usualPatience, type Launched } from "./launch.ts";
import { presetsText, type Preset, type RouterOptions } from "./router_presets.ts";
import type { ServingBuild } from "./settings.ts";

/** What to serve, where. */
export interface RouterLaunch extends RouterOptions {
  readonly build: ServingBuild;
  /** Models that may be loaded at once. */
  readonly most: number;
  readonly port: number;
  readonly keyFile: string;
  /** Where the presets are written. */
  readonly presetsFile: string;
  /** Bytes of the model that is loaded first. */
  readonly bytes: number;
  /** Given what the engine says that a person should see, line by line: no prompts, no answers. */
  readonly onLine: (line: string) => void;
}

/** Most of what is kept of its words while it loads. */
const SAID = 4 * 1024 * 1024;

/** Starts the router and waits until its first model has really answered. @throws what `launch` throws. */
export async function startRouter(context: CallContext, options: RouterLaunch): Promise<Launched> {
  const { probe, act, signal } = context;
  const { build, presets, first, port, keyFile, presetsFile } = options;
  signal.throwIfAborted();
  act.write(presetsFile, presetsText(options), 0o600);
  const gpu = presets.some(({ profile }) => profile.gpuLayers !== 0);
  let said: string | undefined = "";
  const lines = lineReader((line) => {
    if (said !== undefined && gpu) said = `${said}${line}\n`.slice(-SAID);
    if (isNews(line)) options.onLine(line);
  });
  const server = await launch(context, {
    argv: [
      act.real(build.program("llama-server")),
      ...["--models-preset", act.real(presetsFile), "--models-max", String(options.most)],
      ...["--host", "127.0.0.1", "--port", String(port), "--cors-origins", "localhost"],
      // 4 also says where the weights went, and no prompt (5 would)
      ...["--no-ui", "--offline", "--log-verbosity", gpu ? "4" : "3"],
    ],
    env: {
      // the router takes an API key away from its instances' command lines, so they would listen without one; their environment it leaves alone
      LLAMA_ARG_API_KEY_FILE: act.real(keyFile),
      // models of other programs' caches were never verified here
      LLAMA_CACHE: act.real(inHome.work(probe.home, "no-cache")),
    },
    port,
    keyFile,
    model: { name: first, ask: true, profile: profileOf(presets, first) },
    patience: usualPatience(options.bytes),
    said: () => said ?? "",
    heard: lines,
  });
  said = undefined;
  return server;
}

function profileOf(presets: readonly Preset[], name: string): Preset["profile"] {
  const found = presets.find((one) => one.name === name);
  if (found) return found.profile;
  throw new Error(`the router is to load ${name} first, and has no such preset`);
}

/** Warnings and errors, of the router's own or of an instance: "[port] 0.01.234.567 W …". */
function isNews(line: string): boolean {
  return /^(?:\[ *\d+\] )?[\d.]+ [EW] /.test(line);
}

/** Whole lines of what comes in pieces. */
function lineReader(onLine: (line: string) => void): (chunk: Uint8Array) => void {
  const decoder = new TextDecoder();
  let rest = "";
  return (chunk) => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = (lines.pop() ?? "").slice(-64 * 1024);
    for (const line of lines) onLine(line);
  };
}
