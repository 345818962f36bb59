/** llama-server as a child: ready only after an answer, its key a secret of its own, and gone in every case. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { inHome } from "../../lib/keep/home.ts";
import { complete, startServer, type ServeOptions } from "../../lib/llm/server.ts";
import type { Profile, ServingBuild } from "../../lib/llm/settings.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine, type FakeProgram } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { USUAL_PROFILE } from "../support/profile.ts";
import { SILENT } from "../support/run.ts";

const PROFILE: Profile = { ...USUAL_PROFILE, threads: 2 };
const BUILD: ServingBuild = { id: "b", folder: "/opt/b", program: (name) => `/opt/b/bin/${name}` };
const MODEL = { name: "m", path: "/models/m.gguf", bytes: 1000 };
const ANSWER = `data: {"choices":[{"delta":{"content":"yes"}}]}\n\ndata: [DONE]\n\n`;

const keep = keptForEachTest();

/** What the engine does: what it writes into its log, how it ends by itself, what it answers. */
interface Behaviour {
  readonly log?: string;
  readonly ends?: { readonly code: number; readonly stderr: string };
  readonly answer?: (path: string) => Response | Promise<Response>;
}
function engine(behaviour: Behaviour = {}) {
  const seen = { argv: [] as readonly string[], running: 0, keys: new Set<string>() };
  const program: FakeProgram = async (argv, _world, _options, killed) => {
    const after = (flag: string) => argv[argv.indexOf(flag) + 1] ?? "";
    seen.argv = argv;
    if (behaviour.log !== undefined) writeFileSync(after("--log-file"), behaviour.log);
    if (behaviour.ends) return behaviour.ends;
    seen.running += 1;
    await killed;
    seen.running -= 1;
    return {};
  };
  const world = fakeMachine({
    programs: { "llama-server": program },
    fetch: (url, init) => {
      if (seen.running === 0) return Promise.reject(new Error("connection refused"));
      seen.keys.add(new Headers(init?.headers).get("authorization") ?? "");
      const { pathname } = new URL(url);
      if (behaviour.answer) return Promise.resolve(behaviour.answer(pathname));
      return Promise.resolve(new Response(pathname === "/health" ? "{}" : ANSWER));
    },
  });
  keep(world);
  const probe = createProbe(world.machine, FAKE_HOME, "testhost");
  const act = createAct(world.machine, probe);
  const end = new AbortController();
  const context = { probe, act, say: SILENT, signal: end.signal };
  const options: ServeOptions = { build: BUILD, model: MODEL, profile: PROFILE, patience: 2000 };
  const keys = () => probe.list(inHome.keys(FAKE_HOME));
  return { seen, world, probe, act, end, context, options, keys };
}

describe("a server", () => {
  test("has a key that only its owner reads, and that stands in no argument", async () => {
    const { context, options, seen, probe, keys } = engine();
    const server = await startServer(context, options);
    const key = probe.text(server.keyFile)?.trim() ?? "";
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(probe.stat(server.keyFile)?.mode).toBe(0o600);
    expect(seen.argv.join(" ")).not.toContain(key);
    expect(JSON.stringify(server)).not.toContain(key);
    expect([...seen.keys]).toEqual([`Bearer ${key}`]);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(seen.argv.slice(seen.argv.indexOf("--host"))[1]).toBe("127.0.0.1");
    await server.stop();
    await server.stop();
    expect(seen.running).toBe(0);
    expect(keys()).toEqual([]);
  });
  test("whose key can't be removed when Ctrl-C comes ends nobody: who stops it is told", async () => {
    const { context, options, act, seen, end } = engine();
    const remove = () => {
      throw Object.assign(new Error("EROFS: read-only file system"), { code: "EROFS" });
    };
    const server = await startServer({ ...context, act: { ...act, remove } }, options);
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", note);
    try {
      end.abort(new Error("Ctrl-C"));
      await server.ended;
      await Bun.sleep(50); // a rejection that nobody takes is told a turn later
    } finally {
      process.off("unhandledRejection", note);
    }
    expect([seen.running, unhandled]).toEqual([0, []]);
    await expect(server.stop()).rejects.toThrow("EROFS");
  });
  test("two of them have two keys", async () => {
    const one = engine();
    const [a, b] = [
      await startServer(one.context, one.options),
      await startServer(one.context, one.options),
    ];
    expect(one.probe.text(a.keyFile)).not.toEqual(one.probe.text(b.keyFile));
    await Promise.all([a.stop(), b.stop()]);
  });
  test("with a key of the operator's own leaves it there", async () => {
    const { context, options, act, probe } = engine();
    act.write("/keys", "the operator's own\n", 0o600);
    const server = await startServer(context, { ...options, keyFile: "/keys" });
    await server.stop();
    expect(probe.text("/keys")).toBe("the operator's own\n");
  });
  test("that says it is healthy and can't answer is not ready", async () => {
    const { context, options, seen, keys } = engine({
      answer: (path) =>
        new Response(path === "/health" ? "{}" : "busy", {
          status: path === "/health" ? 200 : 500,
        }),
    });
    await expect(startServer(context, options)).rejects.toMatchObject({ id: "engine-refused" });
    expect(seen.running).toBe(0);
    expect(keys()).toEqual([]);
  });
  test("that never gets healthy is given up in time", async () => {
    const { context, options, seen } = engine({ answer: () => new Response("", { status: 503 }) });
    const failed = startServer(context, { ...options, patience: 200 });
    await expect(failed).rejects.toMatchObject({ id: "engine-not-ready" });
    expect(seen.running).toBe(0);
  });
  test("that dies is told with its last words", async () => {
    const stderr = "0.1 I srv: loading\n0.2 E load: unknown model architecture\n";
    const { context, options, keys } = engine({ ends: { code: 1, stderr } });
    await expect(startServer(context, options)).rejects.toMatchObject({
      id: "engine-died",
      why: expect.stringContaining("unknown model architecture"),
    });
    expect(keys()).toEqual([]);
  });
  test("is stopped when the run is interrupted, also while it loads", async () => {
    const slow = engine({ answer: () => new Response("", { status: 503 }) });
    const failed = startServer(slow.context, { ...slow.options, patience: 60_000 });
    setTimeout(() => slow.end.abort(new Error("Ctrl-C")), 100);
    await expect(failed).rejects.toThrow("Ctrl-C");
    expect(slow.seen.running).toBe(0);
    expect(slow.keys()).toEqual([]);
    const ready = engine();
    const server = await startServer(ready.context, ready.options);
    ready.end.abort(new Error("Ctrl-C"));
    await server.ended;
    await server.stop();
    expect(ready.seen.running).toBe(0);
    expect(ready.keys()).toEqual([]);
  });
  test("keeps the logs of the last engines alone", async () => {
    const { context, options, probe, act } = engine({ log: "" });
    act.makeFolder(inHome.work(FAKE_HOME, "server"));
    for (let i = 0; i < 12; i++) act.write(inHome.work(FAKE_HOME, "server", `${i}.log`), "x");
    const server = await startServer(context, options);
    await server.stop();
    expect(probe.list(inHome.work(FAKE_HOME, "server")).length).toBe(10);
  });
  test("reads an answer with its own key", async () => {
    const { context, options } = engine();
    const server = await startServer(context, options);
    const got = await complete(server, {
      messages: [{ role: "user", content: "?" }],
      maxTokens: 3,
    });
    expect(got.text).toBe("yes");
    await server.stop();
  });
});

describe("a GPU that was asked for", () => {
  const wants = (gpuLayers: Profile["gpuLayers"]): Profile => ({ ...PROFILE, gpuLayers });
  const cpu =
    "load_tensors: offloaded 31/31 layers to GPU\nload_tensors: CPU_Mapped model buffer size = 92.10 MiB\n";
  const cuda = (layers: number) =>
    `load_tensors: offloaded ${layers}/33 layers to GPU\nload_tensors: CUDA0 model buffer size = 900.00 MiB\n`;

  test("and is not used is an error of its own, and the engine is stopped", async () => {
    for (const layers of ["fit", 10] as const) {
      const { context, options, seen, keys } = engine({ log: cpu });
      const failed = startServer(context, { ...options, profile: wants(layers) });
      await expect(failed).rejects.toMatchObject({ id: "gpu-not-used" });
      expect(seen.running).toBe(0);
      expect(keys()).toEqual([]);
    }
  });
  test("and holds fewer layers than asked is one, too", async () => {
    const { context, options } = engine({ log: cuda(8) });
    const failed = startServer(context, { ...options, profile: wants(20) });
    await expect(failed).rejects.toMatchObject({
      id: "gpu-not-used",
      why: expect.stringContaining("only 8"),
    });
  });
  test("and holds them is named", async () => {
    const { context, options } = engine({ log: cuda(20) });
    const server = await startServer(context, { ...options, profile: wants(20) });
    expect(server.devices).toEqual(["CUDA0"]);
    await server.stop();
  });
});
