/**
 * node-llama-cpp's prebuilt CPU engine, asked over its standard input: one JSON request a line, one JSON answer a line. A process of its own, so that
 * its threads and memory are its own, and because it can't be bundled.
 */
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

/** What the worker is started with, as JSON in its first argument. */
export interface WorkerOptions {
  readonly model: string;
  readonly threads: number;
  readonly context: number;
  readonly batch: number;
}
/** One request: a prompt as text, its control tokens included, and how many tokens to generate, greedily. */
export interface WorkerRequest {
  readonly prompt: string;
  readonly generate: number;
}
/** Tokens per second, and how many there were. */
export interface WorkerAnswer {
  readonly promptTokens: number;
  readonly promptPerSecond: number;
  readonly generatedTokens: number;
  readonly generatedPerSecond: number;
}

if (import.meta.main) await serve(JSON.parse(process.argv[2] ?? "{}") as WorkerOptions);

async function serve(options: WorkerOptions): Promise<void> {
  const llama = await getLlama({
    gpu: false,
    build: "never",
    usePrebuiltBinaries: true,
    skipDownload: true,
    maxThreads: options.threads,
    logLevel: LlamaLogLevel.error,
    progressLogs: false,
  });
  const model = await llama.loadModel({ modelPath: options.model, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize: options.context,
    batchSize: options.batch,
    threads: options.threads,
  });
  const sequence = context.getSequence();
  for await (const line of console) {
    const { prompt, generate } = JSON.parse(line) as WorkerRequest;
    await sequence.clearHistory();
    const tokens = model.tokenize(prompt, true);
    const began = performance.now();
    let first = began;
    let generated = 0;
    for await (const _ of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
      generated += 1;
      if (generated === 1) first = performance.now();
      if (generated >= generate) break;
    }
    const ended = performance.now();
    const answer: WorkerAnswer = {
      promptTokens: tokens.length,
      promptPerSecond: tokens.length / ((first - began) / 1000),
      generatedTokens: generated,
      // the first token comes with the prompt, on both sides
      generatedPerSecond: (generated - 1) / ((ended - first) / 1000),
    };
    console.log(JSON.stringify(answer));
  }
}
