/** The served speed of the native build beside node-llama-cpp's prebuilt CPU engine: same model, threads and prompt, in turns. */
import { join } from "node:path";
import { filledPrompt } from "../../lib/llm/bench/loads.ts";
import { liveBuild } from "../../lib/llm/builds.ts";
import { defaultProfile, profileFacts, servedProfile } from "../../lib/llm/profile.ts";
import { describeProfile } from "../../lib/llm/profile_form.ts";
import { startServer, type Server } from "../../lib/llm/server.ts";
import type { Profile } from "../../lib/llm/settings.ts";
import { installedModels } from "../../lib/llm/store.ts";
import { LARGEST_EXCUSED_LOSS } from "../../lib/llm/tune/decide.ts";
import { chatPrompt, rewritePrompt } from "../../lib/llm/tune/loads.ts";
import { createAct } from "../../lib/machine/act.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { hostNameFrom, systemHostName } from "../../lib/hosts/name.ts";
import type { Message } from "../../lib/llm/complete.ts";
import { engineCopy, engineEnvironment, runEngine } from "../support/engine_home.ts";
import { documentOf, plainEnvironment, type TestHome } from "../support/program.ts";
import type { Figure, Goal, Measured } from "./figure.ts";
import type { WorkerAnswer, WorkerOptions, WorkerRequest } from "./prebuilt_worker.ts";
import { REPOSITORY } from "./ways.ts";

/** Alternating runs of each figure. */
const RUNS = 5;
/** Tokens of a file that is written again: up to its end and not beyond, where a small model babbles. */
const REWRITTEN = 160;

/** Someone who can be asked and says how fast it was. */
interface Engine {
  ask(request: WorkerRequest): Promise<WorkerAnswer>;
  stop(): Promise<void>;
}

/** Measures all figures of the served engine. Needs what the engine tier needs: a built engine and the small model. */
export async function figures(quick: boolean): Promise<readonly Measured[]> {
  const place = await engineCopy("bench");
  try {
    return await measured(place, quick);
  } finally {
    place.dispose();
  }
}

async function measured(place: TestHome, quick: boolean): Promise<readonly Measured[]> {
  const machine = thisMachine();
  const host = hostNameFrom(systemHostName(createProbe(machine, place.home, "bench")));
  const probe = createProbe(machine, place.home, host);
  const act = createAct(machine, probe);
  const silent = () => undefined;
  const context = {
    probe,
    act,
    say: { line: silent, detail: silent, progress: silent, stream: silent },
    signal: new AbortController().signal,
  };
  const build = liveBuild(probe);
  const [model] = await installedModels(probe);
  if (!build || !model) throw new Error(`${place.home} has no live build, or no model`);
  const usual = defaultProfile(profileFacts(probe, model, build));
  const serve = (profile: Profile) => startServer(context, { build, model, profile });

  const untunedServer = await serve(usual);
  const prebuilt = startPrebuilt({
    model: model.path,
    threads: usual.threads,
    context: usual.context,
    batch: usual.ubatch,
  });
  const engines: Engine[] = [prebuilt];
  try {
    const prompts = await rendered(untunedServer);
    const untuned = asEngine(untunedServer);
    engines.push(untuned);
    const tokens = quick ? 48 : 96;
    const plain = await inTurns(untuned, prebuilt, prompts.filled, tokens);
    await untuned.stop();
    engines.pop();

    const tune = ["--tune", "--budget", quick ? "300" : "600", "--preheat", "1", "--yes", "--json"];
    const ended = await runEngine("04_llm_benchmark", tune, place);
    // the machine may be slower than before by now: what counts here is the profile that was found
    if (![0, 15].includes(ended.code)) {
      throw new Error(
        `tuning ended with ${ended.code}: ${JSON.stringify(documentOf(ended).error)}`,
      );
    }
    const profile = servedProfile(probe, model, build);
    const kept = `tuned: ${describeProfile(profile, usual)}`;
    const tuned = asEngine(await serve(profile));
    engines.push(tuned);
    const chat = await inTurns(tuned, prebuilt, prompts.chat, tokens);
    const rewrite = await inTurns(tuned, prebuilt, prompts.rewrite, REWRITTEN);
    for (const engine of engines.splice(0)) await engine.stop();
    const both = { ours: () => serve(profile), theirs: () => serve(usual) };
    const ownRewrite = await inFreshTurns(both, prompts.rewriteOthers, REWRITTEN);
    const ownChat = await inFreshTurns(both, prompts.chatOthers, tokens);

    const how = `${model.name}, ${usual.threads} threads, ${RUNS} alternating runs`;
    const figure = (name: string, goal: Goal, values: readonly number[], more = ""): Figure => ({
      name,
      unit: "x",
      goal,
      values,
      how: `${how}${more === "" ? "" : `, ${more}`}`,
    });
    return [
      figure(
        "served prompt speed, untuned, against the prebuilt engine",
        { atLeast: 0.95 },
        plain.prompt,
        plain.said,
      ),
      figure(
        "served generation, untuned, against the prebuilt engine",
        { atLeast: 1 },
        plain.generation,
        plain.said,
      ),
      figure(
        "generation on the load that repeats, tuned, against the prebuilt engine",
        { atLeast: 1.5 },
        rewrite.generation,
        kept,
      ),
      figure(
        "generation on chat, tuned, against the prebuilt engine",
        { atLeast: 1 },
        chat.generation,
        kept,
      ),
      figure(
        "generation on the load that repeats, tuned, against untuned",
        { atLeast: 1.5 },
        ownRewrite,
        kept,
      ),
      figure(
        "generation on chat, tuned, against untuned",
        { atLeast: 1 - LARGEST_EXCUSED_LOSS },
        ownChat,
        kept,
      ),
    ];
  } finally {
    for (const engine of engines) await engine.stop();
  }
}

/**
 * Prompts as the model's own template renders them, so that both engines read the same tokens. One per run; `…Others` for a second comparison with an engine
 * that may remember the first.
 */
async function rendered(server: Server) {
  const all = async (make: (turn: number) => readonly Message[], first = 0, last = RUNS) => {
    const texts: string[] = [];
    for (let turn = first; turn <= last; turn++) {
      const response = await server.post("/apply-template", { messages: make(turn) });
      const { prompt } = (await response.json()) as { readonly prompt?: string };
      if (prompt === undefined) throw new Error("the engine renders no prompt");
      texts.push(prompt);
    }
    return texts;
  };
  return {
    filled: await all((turn) => filledPrompt(400, turn)),
    chat: await all(chatPrompt),
    chatOthers: await all(chatPrompt, RUNS + 1, 3 * RUNS + 1),
    rewrite: await all(rewritePrompt),
    rewriteOthers: await all(rewritePrompt, RUNS + 1, 3 * RUNS + 1),
  };
}

/** Asks both in turns, the order swapped each time; the first round is not counted. Ratios of `ours` to `theirs`. */
async function inTurns(
  ours: Engine,
  theirs: Engine,
  prompts: readonly string[],
  generate: number,
): Promise<{ prompt: number[]; generation: number[]; said: string }> {
  const ratios = { prompt: [] as number[], generation: [] as number[], said: "" };
  for (const [turn, prompt] of prompts.entries()) {
    const request = { prompt, generate };
    const first = await (turn % 2 === 0 ? ours : theirs).ask(request);
    const second = await (turn % 2 === 0 ? theirs : ours).ask(request);
    if (turn === 0) continue;
    const [a, b] = turn % 2 === 0 ? [first, second] : [second, first];
    ratios.prompt.push(a.promptPerSecond / b.promptPerSecond);
    ratios.generation.push(a.generatedPerSecond / b.generatedPerSecond);
    const speeds = (one: WorkerAnswer) =>
      `${one.promptPerSecond.toFixed(0)} and ${one.generatedPerSecond.toFixed(0)}`;
    ratios.said = `${a.promptTokens} + ${a.generatedTokens} tokens, last run ${speeds(a)} against ${speeds(b)} tokens/s`;
  }
  return ratios;
}

/**
 * Ratios of the generation alone, of two that are started anew for each two runs, in changing order: where a process happens to lie in memory makes it some
 * percent faster or slower for all of its life. The first prompt warms both.
 */
async function inFreshTurns(
  start: { readonly ours: () => Promise<Server>; readonly theirs: () => Promise<Server> },
  [warm = "", ...prompts]: readonly string[],
  generate: number,
): Promise<number[]> {
  const ratios: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const started = new Map<"ours" | "theirs", Engine>();
    try {
      for (const who of run % 2 === 0
        ? (["ours", "theirs"] as const)
        : (["theirs", "ours"] as const))
        started.set(who, asEngine(await start[who]()));
      const [ours, theirs] = [started.get("ours"), started.get("theirs")];
      if (!ours || !theirs) throw new Error("both were started");
      const two = prompts.slice(2 * run, 2 * run + 2);
      ratios.push(...(await inTurns(ours, theirs, [warm, ...two], generate)).generation);
    } finally {
      for (const engine of started.values()) await engine.stop();
    }
  }
  return ratios;
}

/** llama-server, asked for a plain completion without any cache. */
function asEngine(server: Server): Engine {
  return {
    stop: () => server.stop(),
    ask: async ({ prompt, generate }) => {
      const response = await server.post("/completion", {
        prompt,
        n_predict: generate,
        temperature: 0,
        ignore_eos: true,
        cache_prompt: false,
      });
      const { timings } = (await response.json()) as {
        readonly timings?: {
          readonly prompt_n: number;
          readonly prompt_per_second: number;
          readonly predicted_n: number;
          readonly predicted_per_second: number;
        };
      };
      if (!response.ok || !timings) throw new Error(`the engine answers ${response.status}`);
      return {
        promptTokens: timings.prompt_n,
        promptPerSecond: timings.prompt_per_second,
        generatedTokens: timings.predicted_n,
        generatedPerSecond: timings.predicted_per_second,
      };
    },
  };
}

/** The prebuilt engine in a process of its own, from the repository's node_modules. */
function startPrebuilt(options: WorkerOptions): Engine {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "prebuilt_worker.ts"), JSON.stringify(options)],
    {
      cwd: REPOSITORY,
      env: plainEnvironment(REPOSITORY, engineEnvironment()),
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const lines = linesOf(child.stdout);
  return {
    ask: async (request) => {
      await child.stdin.write(`${JSON.stringify(request)}\n`);
      await child.stdin.flush();
      const { value, done } = await lines.next();
      if (done) throw new Error(`the prebuilt engine ended with ${await child.exited}`);
      return JSON.parse(value) as WorkerAnswer;
    },
    stop: async () => {
      child.kill();
      await child.exited;
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.filter((line) => line !== "");
  }
  return undefined;
}
