/** `shelter ask`: one question, answered as it comes, by the served profile. What it starts it also stops. */
import { onSignals } from "../cli/signals.ts";
import { layout } from "../cli.ts";
import { asFailure, EXIT, Interrupted, UsageError } from "../errors.ts";
import { type GatewayClient, runningGateway } from "../gateway/client.ts";
import { complete, type Completion } from "../llm/complete.ts";
import { withGovernor } from "../llm/governor.ts";
import { startServer } from "../llm/server.ts";
import { createAct } from "../machine/act.ts";
import { printable, printableLines } from "../report/text.ts";
import { createVoice } from "../report/voice.ts";
import type { CallContext, Failure, Outcome } from "../unit.ts";
import { asJson, countOf, textOf, type Command } from "./desk.ts";
import { askedOf, engineFor, runningEngine } from "./engine_of.ts";

/** What to ask. */
export interface Question {
  readonly question: string;
  readonly model?: string | undefined;
  readonly maxTokens?: number;
}

/** An answer, and who gave it how fast. */
export interface Answer {
  readonly question: string;
  readonly text: string;
  readonly model: string;
  /** Left out where a gateway answered, which may ask several. */
  readonly build?: string;
  /** Hosts that answered through the gateway, in order. */
  readonly served_by?: readonly string[];
  /** How often one of them went on where another had stopped. */
  readonly carried_over?: number;
  /** False where `serve` or the gateway was running and answered. */
  readonly started: boolean;
  readonly tokens: number;
  /** As the engine measured it. */
  readonly tokens_per_second: number;
  readonly prompt_tokens: number;
  readonly first_token_ms: number;
  readonly took_ms: number;
  /** "stop" for a whole answer, "length" for one that was cut at the limit. */
  readonly finish: string;
}

const MAX_TOKENS = 512;

export const ask: Command = async ({ machine, place, probe, want }) => {
  const say = await createVoice({
    json: want["json"] === true,
    verbose: want["verbose"] === true,
    env: process.env,
  });
  const signal = onSignals(() => undefined);
  const maxTokens = countOf(want, "max-tokens", MAX_TOKENS);
  const question = textOf(want, "question") ?? (await fromInput());
  const context = { probe, act: createAct(machine, probe), say, signal };
  const asked = await answerOf(
    () =>
      askModel(context, {
        question,
        model: textOf(want, "model"),
        maxTokens,
      }),
    signal,
  );
  if ("error" in asked) {
    const { errorLines } = await import("../report/human.ts");
    return {
      exit: EXIT[asked.outcome],
      json: asJson({ schema: 1, host: place.host, outcome: asked.outcome, error: asked.error }),
      lines: errorLines(asked.error, layout(false)),
    };
  }
  return {
    exit: 0,
    json: asJson({ schema: 1, host: place.host, outcome: "changed", ...asked.answer }),
    lines: [],
  };
};

/** An answer, or how it failed. */
export async function answerOf(
  work: () => Promise<Answer>,
  signal: AbortSignal,
): Promise<{ readonly answer: Answer } | { readonly outcome: Outcome; readonly error: Failure }> {
  try {
    return { answer: await work() };
  } catch (error) {
    const reason: unknown = signal.aborted ? signal.reason : error;
    return {
      outcome: reason instanceof Interrupted ? "interrupted" : "blocked",
      error: asFailure(reason),
    };
  }
}

/** Asks, streaming the answer to `context.say`. */
export async function askModel(
  context: CallContext,
  { question, model, maxTokens = MAX_TOKENS }: Question,
): Promise<Answer> {
  const { say, signal } = context;
  const request = { messages: [{ role: "user", content: question }], maxTokens, signal } as const;
  const onToken = (text: string) => say.stream(text);
  const gateway = await gatewayFor(context, model);
  if (gateway) {
    const name = model ?? gateway.models[0];
    const named = name === undefined ? {} : { model: name };
    const done = await complete(gateway, { ...request, ...named }, onToken);
    const told = name ?? done.model ?? "a model of the gateway's";
    return ended(context, question, { model: told, started: false }, done);
  }
  const running = runningEngine(context);
  if (running && (model === undefined || model === running.model)) {
    const done = await complete(askedOf(context, running), request, onToken);
    return ended(
      context,
      question,
      { model: running.model, build: running.build, started: false },
      done,
    );
  }
  const engine = await engineFor(context.probe, model);
  return withGovernor(context, async () => {
    say.line(`Starting ${engine.model.name} on ${engine.build.id}`);
    const server = await startServer(context, engine);
    try {
      const done = await complete(server, request, onToken);
      return ended(
        context,
        question,
        { model: engine.model.name, build: engine.build.id, started: true },
        done,
      );
    } finally {
      await server.stop();
    }
  });
}

/** The gateway, where it runs, has somebody to ask, and knows the model; one that can't be used is said and passed by. */
async function gatewayFor(
  { probe, say }: CallContext,
  model: string | undefined,
): Promise<GatewayClient | undefined> {
  let gateway: GatewayClient | undefined;
  try {
    gateway = await runningGateway(probe);
  } catch (error) {
    const { what, why } = asFailure(error);
    say.line(`${printable(what)}: ${printable(why)}. Going on without the gateway`);
  }
  if (!gateway) return undefined;
  const known = model === undefined || gateway.models.includes(model);
  if (known && typeof gateway.status["serves"] === "string") return gateway;
  say.line(
    known
      ? "The gateway has no engine that answers: going on without it"
      : `The gateway does not know ${printable(model)}: going on without it`,
  );
  return undefined;
}

function ended(
  { say }: CallContext,
  question: string,
  who: Pick<Answer, "model" | "build" | "started">,
  done: Completion,
): Answer {
  if (!done.text.endsWith("\n")) say.stream("\n");
  const cut = done.finish === "length" ? "; cut at the limit, --max-tokens raises it" : "";
  const by = done.served ? ` on ${printable(done.served.by.join(", then "))}` : "";
  say.line(
    `${printable(who.model)}${by}: ${done.generatedTokens} tokens, ${done.generatedPerSecond.toFixed(1)} tokens/s, the first after ${Math.round(done.firstTokenMs)} ms${cut}`,
  );
  return {
    question,
    text: printableLines(done.text),
    ...who,
    ...(done.served ? { served_by: done.served.by, carried_over: done.served.carriedOver } : {}),
    tokens: done.generatedTokens,
    tokens_per_second: done.generatedPerSecond,
    prompt_tokens: done.promptTokens + done.cachedTokens,
    first_token_ms: Math.round(done.firstTokenMs),
    took_ms: Math.round(done.tookMs),
    finish: done.finish,
  };
}

/** Largest question that is taken from standard input, in characters. */
const INPUT_LIMIT = 1024 * 1024;

async function fromInput(): Promise<string> {
  const missing = (why: string) =>
    new UsageError("usage", "ask", why, ["./bin/shelter", "ask", "What is a mountain shelter?"]);
  if (process.stdin.isTTY) throw missing("there is no question");
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of process.stdin) {
    text +=
      typeof chunk === "string" ? chunk : decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > INPUT_LIMIT)
      throw missing(`the question is longer than ${INPUT_LIMIT} characters`);
  }
  if (text.trim() === "") throw missing("there is no question");
  return text.trim();
}
