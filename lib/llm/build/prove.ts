/** Call "prove engine": a build may serve only after it has computed right, on this host, on every device that it is for. */
import { join } from "node:path";
import { IntegrityError, ShelterError } from "../../errors.ts";
import type { Call, CallContext } from "../../unit.ts";
import { asDocument, type Backend, type Build, builds, proofPath } from "../builds.ts";
import { defaultProfile, profileFacts, type Profile } from "../profile.ts";
import { complete, startServer, type Server } from "../server.ts";
import type { Optional } from "./backends.ts";
import { buildTree } from "./compile.ts";
import type { Reference } from "./pins.ts";
import { textOf } from "./words.ts";

/**
 * Share of the reference's next tokens that must come out the same. The reference holds only positions whose best token leads by 0.5 nats or more:
 * there all CPU kernels tried (SSE2, SSE4.2, AVX2, AVX-VNNI, AVX-512), with and without flash attention, with an 8-bit cache, agreed on every one.
 * What computes wrong loses most of them; one that rounds differently loses none or a few.
 */
export const LEAST_AGREEMENT = 0.9;

/** Context that the longest passage needs, with room for the question. */
const CONTEXT = 1024;

/** What one device answered. */
interface Heard {
  readonly right: number;
  readonly of: number;
  readonly next: readonly string[];
  readonly answer: string;
}

/** The call that proves runtime/llama.cpp/<id> against `reference` and writes its proof.json. */
export const proveEngine =
  (reference: Reference): Call =>
  (context, args) =>
    prove(context, reference, textOf(args, "id"), {
      name: textOf(args, "name"),
      path: textOf(args, "path"),
    });

async function prove(
  context: CallContext,
  reference: Reference,
  id: string,
  model: Model,
): Promise<void> {
  const { probe, act, say } = context;
  await checkModel(context, model, reference);
  const build = builds(probe).find((one) => one.id === id);
  if (!build) throw new ShelterError("no-build", `proving ${id}`, "it is not there");
  const accelerators = build.info.backends.filter((one) => one !== "cpu");
  const agreed: Record<string, { right: number; of: number }> = {};
  const test = { build, model, reference };
  say.line(
    `Smoke test of ${id}: a question, and ${positions(reference)} next tokens on each device`,
  );
  const onCpu = await blaming(context, build, cpuPart(build), () =>
    hear(context, test, 0, "the CPU"),
  );
  agreed["cpu"] = { right: onCpu.right, of: onCpu.of };
  for (const backend of accelerators) {
    const onDevice = await blaming(context, build, backend, async () => {
      const heard = await hear(context, test, ALL_LAYERS, backend);
      compare(backend, heard.next, onCpu.next, "the CPU's own");
      return heard;
    });
    agreed[backend] = { right: onDevice.right, of: onDevice.of };
  }
  const proof = {
    ...{ schema: 1, build: id, model: reference.model, agreed, answer: onCpu.answer },
    at: new Date(probe.now()).toISOString(),
  };
  act.write(proofPath(build.folder), asDocument(proof), 0o644);
  const shares = Object.entries(agreed).map(([name, { right, of }]) => `${name} ${right} of ${of}`);
  say.line(`Proven: ${shares.join(", ")}`);
}

interface Model {
  readonly name: string;
  readonly path: string;
}
interface Test {
  readonly build: Build;
  readonly model: Model;
  readonly reference: Reference;
}

/** A damaged model must not be held against a build. */
async function checkModel(
  { probe, signal }: CallContext,
  model: Model,
  { model: sha256 }: Reference,
) {
  if ((await probe.sha256(model.path, undefined, signal)) === sha256) return;
  throw new IntegrityError(
    "model-damaged",
    `the model that a build is proven with, ${model.path}`,
    `its SHA-256 is not ${sha256}`,
    ["03_install_models"],
  );
}

/** More layers than any model has: llama.cpp takes it as all. */
const ALL_LAYERS = 999;

/** Starts the build, asks it a question twice, and hears its next token at every position of the reference. */
async function hear(
  context: CallContext,
  { build, model, reference }: Test,
  gpuLayers: number,
  device: string,
): Promise<Heard> {
  const { probe } = context;
  const bytes = probe.stat(model.path)?.size ?? 0;
  const served = { ...model, bytes, sha256: reference.model };
  const profile: Profile = {
    ...defaultProfile(profileFacts(probe, served, build)),
    // one thread: on a busy machine two wait for each other, token by token, for minutes
    ...{ threads: 1, cpus: [], parallel: 1, context: CONTEXT, gpuLayers },
  };
  const server = await startServer(context, { build, model: served, profile });
  try {
    const answer = await answerTwice(context, server, device);
    const next: string[] = [];
    for (const { text, next: expected } of reference.passages) {
      for (const { at } of expected) {
        next.push(await nextToken(context, server, text.slice(0, at)));
        context.say.progress(
          `Smoke test on ${device}`,
          next.length,
          positions(reference),
          "tokens",
        );
      }
    }
    const expected = reference.passages.flatMap((one) => one.next.map(({ token }) => token));
    const right = compare(device, next, expected, "the reference's");
    return { answer, next, right, of: expected.length };
  } finally {
    await server.stop();
  }
}

/** Counts equal tokens. @throws ShelterError "build-differs" where too few are. */
export function compare(
  device: string,
  heard: readonly string[],
  expected: readonly string[],
  whose: string,
): number {
  const right = expected.filter((token, index) => heard[index] === token).length;
  if (right >= expected.length * LEAST_AGREEMENT) return right;
  throw new ShelterError(
    "build-differs",
    `the smoke test on ${device}`,
    `only ${right} of ${expected.length} next tokens are ${whose}: it computes something else`,
  );
}

/** Its answer's tokens lead by 0.7 nats and more; after "What is the capital of France?" the first one is nearly a tie, and kernels differ (measured). */
const QUESTION = "What is the capital city of France? Answer in one sentence.";

/** A real, greedy answer, the same both times and not empty. */
async function answerTwice(context: CallContext, server: Server, device: string): Promise<string> {
  const ask = () =>
    complete(server, {
      messages: [{ role: "user", content: QUESTION }],
      ...{ maxTokens: 24, seed: 1, cachePrompt: false, signal: context.signal },
    });
  const [first, second] = [await ask(), await ask()];
  const text = first.text.trim();
  if (text !== "" && first.text === second.text) return text;
  throw new ShelterError(
    "build-differs",
    `the smoke test on ${device}`,
    text === "" ? "its answer is empty" : "it answers the same question differently each time",
  );
}

/** The most likely next token after `prompt`, as text; the engine goes on from what it read last time. */
async function nextToken(context: CallContext, server: Server, prompt: string): Promise<string> {
  const request = { prompt, n_predict: 1, temperature: 0, top_k: 1, seed: 1, cache_prompt: true };
  const response = await server.post("/completion", request, context.signal);
  const body = (await response.json()) as { readonly content?: unknown };
  if (response.ok && typeof body.content === "string") return body.content;
  throw new ShelterError("engine-refused", "the smoke test", `HTTP ${response.status}`);
}

function positions(reference: Reference): number {
  return reference.passages.reduce((sum, one) => sum + one.next.length, 0);
}

/** What a failure on the CPU is put down to: the matrix unit where it is used. */
function cpuPart({ info }: Build): Optional | undefined {
  const instructions = info.inputs["instruction sets"]?.split(" ") ?? [];
  const off = info.flags.some((flag) => flag.includes("-mno-amx-tile"));
  const putRight = info.inputs["workaround amx-tile-config"] !== undefined;
  return instructions.includes("-mamx-int8") && (!off || putRight) ? "amx" : undefined;
}

/** Failures that the build itself is to blame for, as opposed to a busy machine or a person's Ctrl-C. */
const ITS_OWN_FAULT = new Set(["build-differs", "engine-died", "gpu-not-used", "engine-refused"]);

/** Runs a part of the proof; where it fails by the build's own fault, the next run builds without that part and says why. */
async function blaming<T>(
  { probe, act, signal }: CallContext,
  build: Build,
  part: Exclude<Backend, "cpu"> | Optional | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ShelterError) || !ITS_OWN_FAULT.has(error.id)) throw error;
    if (part === undefined) throw error;
    const path = rejectionPath(probe.home, build.id);
    const why = error.why.slice(0, 300);
    act.write(path, asDocument({ part, why, at: new Date(probe.now()).toISOString() }));
    throw new ShelterError(
      error.id,
      `${error.what}, with ${part}`,
      `${error.why}; the next run builds without ${part}`,
      ["03_build_llama_cpp"],
      { cause: error },
    );
  }
}

/** Where it stands that a build failed its proof: kept across undo, like the tree that it was compiled in. */
export function rejectionPath(home: string, id: string): string {
  return join(buildTree(home, id), "rejected.json");
}
