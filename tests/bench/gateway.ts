/** What the gateway costs, undisturbed: time to first token, tokens per second, memory of many open streams; and what a disturbance costs with it. */
import { readFileSync } from "node:fs";
import {
  engineFiles,
  localEngine,
  startEngine,
  worldFolder,
  type RealEngine,
} from "../support/gateway_world.ts";
import { QUESTIONS } from "../support/questions.ts";
import { type Answer, readAnswer } from "../support/read_answer.ts";
import { serveScripted } from "../support/engine_server.ts";
import type { Measured } from "./figure.ts";
import { median } from "./figure.ts";
import { startGatewayProgram, type GatewayProgram } from "../support/gateway_program.ts";

/** Measures every figure of the gateway that needs one host only. Engines share this machine's cores with the gateway. */
export async function figures(quick: boolean): Promise<readonly Measured[]> {
  const place = worldFolder();
  const files = await engineFiles();
  const engines: RealEngine[] = [];
  let gateway: GatewayProgram | undefined;
  try {
    engines.push(await startEngine(files, place.folder, { slots: 4 }));
    engines.push(await startEngine(files, place.folder, { slots: 4 }));
    const document = {
      engines: engines.map((engine, at) => localEngine(at === 0 ? "shadow" : "phantom", engine)),
    };
    gateway = await startGatewayProgram(place.folder, document);
    const cost = await costs(engines[0] as RealEngine, gateway, quick ? 10 : 30);
    await gateway.stop();
    // warming takes time of the same cores here: it would be measured as the gateway's cost
    gateway = await startGatewayProgram(place.folder, { ...document, warm: true });
    const disturbed: Measured[] = [];
    for (const [signal, limit] of [
      ["SIGKILL", 1000],
      ["SIGSTOP", 5000],
    ] as const) {
      disturbed.push(...(await disturb(engines, gateway, signal, limit)));
    }
    await gateway.stop();
    gateway = undefined;
    const own = await ownSilence(place.folder, quick ? 3 : 10);
    return [...cost, ...disturbed, own, await memoryOfStreams(place.folder)];
  } finally {
    await gateway?.stop();
    for (const engine of engines) {
      engine.signal("SIGCONT");
      await engine.stop();
    }
    place.dispose();
  }
}

/** The same question to the engine and to the gateway, in turns: the prompt is known from before, so that the first token costs one step. */
async function costs(
  engine: RealEngine,
  gateway: GatewayProgram,
  runs: number,
): Promise<readonly Measured[]> {
  const key = readFileSync(engine.keyFile, "utf8").trim();
  const direct = () => asked(`${engine.url}/v1/chat/completions`, key, 0, 64);
  const through = () => asked(`${gateway.url}/v1/chat/completions`, gateway.key, 0, 64);
  await direct();
  await through();
  const pairs: { direct: Answer; through: Answer }[] = [];
  for (let run = 0; run < runs; run++) {
    // who is first changes, so that a trend of the machine favours neither
    if (run % 2 === 0) pairs.push({ direct: await direct(), through: await through() });
    else {
      const second = await through();
      pairs.push({ direct: await direct(), through: second });
    }
  }
  const rate = (answer: Answer) => 63_000 / (answer.tookMs - answer.firstMs);
  const how = `${runs} alternating runs, 64 tokens, greedy, warm prompt`;
  return [
    {
      name: "gateway: time to first token, more than asked directly",
      unit: "ms",
      goal: { atMost: 3 },
      values: [
        median(pairs.map((pair) => pair.through.firstMs)) -
          median(pairs.map((pair) => pair.direct.firstMs)),
      ],
      how,
    },
    {
      name: "gateway: tokens per second, against the engine asked directly",
      unit: "x",
      goal: { atLeast: 0.98 },
      values: [
        median(pairs.map((pair) => rate(pair.through))) /
          median(pairs.map((pair) => rate(pair.direct))),
      ],
      how,
    },
  ];
}

function asked(
  url: string,
  key: string,
  question: number,
  tokens: number,
  stream = true,
): Promise<Answer> {
  return readAnswer(
    fetch(url, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: JSON.stringify({
        messages: [{ role: "user", content: QUESTIONS[question] }],
        max_tokens: tokens,
        temperature: 0,
        stream,
        ...(stream ? { stream_options: { include_usage: true } } : {}),
      }),
      keepalive: false,
      timeout: false,
    } as BunFetchRequestInit),
  );
}

/** Four clients, two of them with streams; the engine that serves is hit halfway. */
async function disturb(
  engines: RealEngine[],
  gateway: GatewayProgram,
  signal: "SIGKILL" | "SIGSTOP",
  limit: number,
): Promise<readonly Measured[]> {
  const tokens = 64;
  const url = `${gateway.url}/v1/chat/completions`;
  const all = () => QUESTIONS.map((_, at) => asked(url, gateway.key, at, tokens, at % 2 === 0));
  await gateway.settled();
  const undisturbed = await Promise.all(all());
  const runs = all();
  await Bun.sleep(median(undisturbed.map((one) => one.tookMs)) / 2);
  engines[0]?.signal(signal);
  const answers = await Promise.all(runs);
  if (signal === "SIGSTOP") engines[0]?.signal("SIGCONT");
  else {
    await engines[0]?.ended;
    engines[0] = (await engines[0]?.again()) as RealEngine;
  }
  const lost = answers.filter((one) => !one.whole || one.error !== undefined).length;
  const equal = answers.filter((one, at) => one.text === undisturbed[at]?.text).length;
  const how = `4 clients, ${answers.filter((one) => (one.served?.carried_over ?? 0) > 0).length} carried over, ${equal} of 4 equal to the undisturbed`;
  return [
    {
      name: `gateway: answers lost after ${signal}`,
      unit: "answers",
      goal: { atMost: 0 },
      values: [lost],
      how,
    },
    {
      name: `gateway: longest silence after ${signal}`,
      unit: "ms",
      goal: { atMost: limit },
      values: [Math.max(...answers.map((one) => one.silenceMs))],
      how: `${how}; undisturbed ${Math.round(Math.max(...undisturbed.map((one) => one.silenceMs)))} ms`,
    },
  ];
}

/** Pause between the pieces of a scripted stream, in milliseconds. */
const PACE = 20;

/** What of a silence is the gateway's: scripted engines read no prompt, so that nothing else is in it. */
async function ownSilence(folder: string, runs: number): Promise<Measured> {
  const tokens = Array.from({ length: 60 }, (_, at) => ` word${at}`);
  const values: number[] = [];
  for (let run = 0; run < runs; run++) {
    const troubles = Array.from({ length: 4 }, () => ({ pieces: [350] }));
    const engines = [0, 1].map(() => serveScripted(folder, { tokens }, troubles, PACE));
    const gateway = await startGatewayProgram(folder, {
      engines: engines.map((engine, at) => localEngine(`engine-${at}`, engine)),
    });
    try {
      await gateway.settled();
      const url = `${gateway.url}/v1/chat/completions`;
      const asking = Array.from({ length: 4 }, () => asked(url, gateway.key, 0, 1000));
      await Bun.sleep(PACE * 25);
      engines[0]?.kill();
      const answers = await Promise.all(asking);
      if (answers.some((one) => one.text !== tokens.join("")))
        throw new Error("an answer is wrong");
      values.push(Math.max(...answers.map((one) => one.silenceMs)) - PACE);
    } finally {
      await gateway.stop();
      for (const engine of engines) engine.kill();
    }
  }
  return {
    name: "gateway: its own part of the silence when an engine is killed",
    unit: "ms",
    goal: { atMost: 1000 },
    values,
    how: `${runs} runs, 4 streams of scripted engines, ${PACE} ms between pieces; the other engine's reading of the prompt comes on top`,
  };
}

/** Open streams at a time, from a scripted engine: what is measured is the gateway's memory, not an engine's. */
const STREAMS = 64;

async function memoryOfStreams(folder: string): Promise<Measured> {
  const tokens = Array.from({ length: 4000 }, (_, at) => ` word${at}`);
  const engine = serveScripted(
    folder,
    { tokens },
    Array.from({ length: STREAMS }, () => ({ pieces: [350] })),
    20,
  );
  const gateway = await startGatewayProgram(folder, {
    engines: [localEngine("scripted", engine, STREAMS)],
  });
  const leaving = new AbortController();
  try {
    await gateway.settled();
    const read = Array.from({ length: STREAMS }, async () => {
      const response = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { Authorization: `Bearer ${gateway.key}` },
        body: JSON.stringify({ messages: [{ role: "user", content: "Go" }], stream: true }),
        signal: leaving.signal,
      });
      for await (const _ of response.body as unknown as AsyncIterable<Uint8Array>);
    });
    const values: number[] = [];
    for (let at = 0; at < 10; at++) {
      await Bun.sleep(500);
      values.push(gateway.memory() / 1e6);
    }
    leaving.abort();
    await Promise.allSettled(read);
    return {
      name: `gateway: memory with ${STREAMS} open streams`,
      unit: "MB",
      goal: { atMost: 120 },
      values: [Math.max(...values)],
      how: "most of ten looks in 5 s at its resident memory",
    };
  } finally {
    await gateway.stop();
    engine.kill();
  }
}

if (import.meta.main) {
  for (const one of await figures(process.argv.includes("--quick"))) {
    if ("values" in one)
      console.log(
        `${one.name}: ${median(one.values).toFixed(2)} ${one.unit} (goal ${JSON.stringify(one.goal)}; ${one.how})`,
      );
  }
  process.exit(0);
}
