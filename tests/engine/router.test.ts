/** `shelter engine run` with the real engine: what the router and its instance were really told, and that no step of it is long. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { engineCopy, engineEnvironment, ENGINE_WAY } from "../support/engine_home.ts";
import { freePort } from "../support/gateway_world.ts";
import { start, type TestHome } from "../support/program.ts";

const MODEL = "smollm2-135m";

let place: TestHome;
let engine: ReturnType<typeof start>;
let url: string;
let key: string;
let said = "";
let ended: Promise<unknown>;

beforeAll(async () => {
  place = await engineCopy("engine home");
  const ports = { gateway: await freePort(), engine: await freePort(), peers: await freePort() };
  writeFileSync(join(place.home, "shared.cfg"), `ports: ${JSON.stringify(ports)}\n`, {
    mode: 0o600,
  });
  // a model of another program's cache, which nobody verified
  mkdirSync(join(place.home, "runtime/work"), { recursive: true });
  engine = start(ENGINE_WAY, "shelter", ["engine", "run"], place, { env: engineEnvironment() });
  const decoder = new TextDecoder();
  ended = (async () => {
    for await (const chunk of engine.stderr) said += decoder.decode(chunk);
  })();
  for (let tries = 0; !said.includes("Serving "); tries++) {
    if (engine.exitCode !== null || tries > 600) throw new Error(`not ready: ${said}`);
    await Bun.sleep(100);
  }
  url = `http://127.0.0.1:${ports.engine}`;
  key = readFileSync(join(place.home, "runtime/services/engine.key"), "utf8").trim();
}, 900_000);

afterAll(async () => {
  engine?.kill("SIGKILL");
  await engine?.exited;
  place?.dispose();
});

const get = (path: string) => fetch(url + path, { headers: { authorization: `Bearer ${key}` } });
interface Listed {
  readonly id: string;
  readonly status: { readonly value: string; readonly args: readonly string[] };
}
const models = async () => ((await (await get("/v1/models")).json()) as { data: Listed[] }).data;

test("it serves the installed models and no others, each as its preset says", async () => {
  const listed = await models();
  expect(listed.map(({ id }) => id)).toEqual([MODEL]);
  const { value, args = [] } = listed[0]?.status ?? {};
  expect(value).toBe("loaded");
  const presets = readFileSync(join(place.home, "runtime/services/presets.ini"), "utf8");
  for (const [, name = "", wanted = ""] of presets.matchAll(/^([\w-]+) = (.*)$/gm)) {
    if (["version", "load-on-startup", "stop-timeout"].includes(name)) continue;
    const at = args.findIndex((one) => ALIASES[name]?.includes(one) ?? one === `--${name}`);
    expect({ name, there: at >= 0 }).toEqual({ name, there: true });
    if (wanted !== "true") expect([name, args[at + 1]]).toEqual([name, wanted]);
  }
});

/** Settings that the router hands on under another of their names. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  "gpu-layers": ["--n-gpu-layers"],
  fit: ["--fit"],
};

test("threads that wait spin briefly, in the router and in each of its instances", () => {
  const engines = readdirSync("/proc").flatMap((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const ours = line.includes(place.home) && line.split("\0", 1)[0]?.endsWith("llama-server");
      return ours ? [readFileSync(`/proc/${pid}/environ`, "utf8").split("\0")] : [];
    } catch {
      return []; // it has ended
    }
  });
  expect(engines.length).toBeGreaterThanOrEqual(2);
  for (const environment of engines) expect(environment).toContain("GOMP_SPINCOUNT=1000");
});

test("no port answers without the key, and the key stands in no command line or environment", async () => {
  const own = readdirSync("/proc").filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(place.home);
    } catch {
      return false;
    }
  });
  expect(own.length).toBeGreaterThan(2);
  for (const pid of own) {
    for (const file of ["cmdline", "environ"]) {
      expect(readFileSync(`/proc/${pid}/${file}`, "utf8")).not.toContain(key);
    }
  }
  const args = (await models())[0]?.status.args ?? [];
  const port = args[args.indexOf("--port") + 1];
  for (const at of [url, `http://127.0.0.1:${port}`]) {
    const response = await fetch(`${at}/v1/chat/completions`, { method: "POST", body: "{}" });
    expect([at, response.status]).toEqual([at, 401]);
  }
}, 30_000);

test("a step of a long prompt takes at most a second: it says so by its progress", async () => {
  const words = Array.from({ length: 700 }, (_, n) => `word${n}`).join(" ");
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({
      model: MODEL,
      messages: [{ role: "user", content: words }],
      max_tokens: 1,
      stream: true,
      return_progress: true,
      cache_prompt: false,
    }),
  });
  const gaps: number[] = [];
  let last = performance.now();
  for await (const _ of response.body as unknown as AsyncIterable<Uint8Array>) {
    gaps.push(performance.now() - last);
    last = performance.now();
  }
  expect(gaps.length).toBeGreaterThan(10);
  // nine of ten: a step for which another program had the processors is not the engine's
  expect(gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length * 0.9)]).toBeLessThan(1000);
}, 120_000);

test("told to stop it ends well, and nothing of it is left", async () => {
  const server = (await models())[0]?.status.args[0];
  engine.kill("SIGTERM");
  expect(await engine.exited).toBe(0);
  await ended;
  const left = readdirSync("/proc").filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return words[0] === server && words.some((word) => word.startsWith(place.home));
    } catch {
      return false;
    }
  });
  expect(left).toEqual([]);
}, 30_000);
