/** Two paired hosts with their services: each gateway learns of the other by itself, and answers for it, also in mid-sentence. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseGatewayConfig } from "../../lib/gateway/config.ts";
import { documentOf } from "../support/program.ts";
import type { LabHost } from "./host.ts";
import { ask, asRoot, giveEngine, property } from "./served_host.ts";
import {
  ADDRESS,
  bootTwoHosts,
  fingerprintOfHost,
  giveLogin,
  HOME,
  said,
  type TwoHosts,
  USER,
} from "./two_hosts.ts";

const WATCHER = { phantom: "06_phantom_watchdog", shadow: "06_shadow_control" } as const;

let lab: TwoHosts;
beforeAll(async () => {
  lab = await bootTwoHosts(process.env["SHELTER_TEST_BIN"] ?? "bin");
  for (const name of ["phantom", "shadow"] as const) {
    await giveEngine(lab[name]);
    const ran = await asRoot(lab[name], WATCHER[name], "--yes", "--json");
    if (ran.code !== 0) throw new Error(ran.stdout + ran.stderr);
  }
}, 1_200_000);
afterAll(async () => {
  await lab?.stop();
}, 120_000);

const documentAt = (host: LabHost) =>
  parseGatewayConfig(readFileSync(join(host.root, HOME, "runtime/gateway.json"), "utf8"), "lab");
async function until(holds: () => Promise<boolean>, seconds: number, what: string): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    if (await holds()) return;
    await Bun.sleep(200);
  }
  const journals = await Promise.all(
    [lab.phantom, lab.shadow].map((host) =>
      said(host, ["journalctl", "--no-pager", "-n", "40", "-u", "shelter-*"]),
    ),
  );
  throw new Error(`not within ${seconds} s: ${what}\n${journals.join("\n---\n")}`);
}
/** Runs a line of JavaScript on a host: the program is also Bun. */
const script = async (host: LabHost, code: string) => {
  const ran = await host.run([`${HOME}/bin/shelter`, "-e", code], {
    as: USER,
    env: { BUN_BE_BUN: "1" },
  });
  return ran.stdout + ran.stderr;
};

/** A streamed answer at a host's gateway: its text, the longest silence in ms, and what happened on the way; `amid` runs there once ten pieces have come. */
async function stream(host: LabHost, amid = ""): Promise<{ text: string; silence: number }> {
  const told = await script(
    host,
    `
    const key = (await Bun.file("${HOME}/runtime/services/gateway.key").text()).trim();
    const response = await fetch("http://127.0.0.1:8770/v1/chat/completions", { method: "POST",
      headers: { authorization: "Bearer " + key, "content-type": "application/json" },
      body: JSON.stringify({ messages: [{ role: "user", content: "Count from 1 to 100." }], max_tokens: 120, temperature: 0, stream: true }) });
    let rest = "", text = "", pieces = 0, silence = 0, last = 0;
    for await (const chunk of response.body) {
      rest += new TextDecoder().decode(chunk);
      const lines = rest.split("\\n"); rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data: {")) continue;
        const piece = JSON.parse(line.slice(6)).choices?.[0]?.delta?.content;
        if (!piece) continue;
        const now = performance.now();
        if (last) silence = Math.max(silence, now - last);
        last = now; text += piece;
        if (++pieces === 10) { ${amid} }
      }
    }
    console.log(JSON.stringify({ text, silence }));`,
  );
  try {
    return JSON.parse(told) as { text: string; silence: number };
  } catch {
    throw new Error(`no answer: ${told}`);
  }
}

test("before they are paired each serves alone, with no door towards the other", async () => {
  for (const host of [lab.phantom, lab.shadow]) {
    await until(async () => (await ask(host)).startsWith("200 "), 60, `an answer of ${host.name}`);
    expect(documentAt(host).engines.map(({ name }) => name)).toEqual([host.name]);
    expect(await said(host, ["ss", "-Hltn", "sport = :8772"])).toBe("");
  }
}, 180_000);

test("once paired each takes the other up by itself, with what it serves, at one address", async () => {
  await giveLogin(lab.phantom, lab.shadow);
  const accept = await fingerprintOfHost(lab.shadow);
  const pair = ["shelter", "pair", "shadow", "--address", ADDRESS.shadow, "--accept", accept];
  const paired = await lab.shelter(lab.phantom, pair);
  expect({ code: paired.code, err: paired.code === 0 ? "" : paired.stderr }).toEqual({
    code: 0,
    err: "",
  });
  for (const [host, other] of [
    [lab.phantom, "shadow"],
    [lab.shadow, "phantom"],
  ] as const) {
    await until(
      () => Promise.resolve(documentAt(host).models.some(({ on }) => on[other]?.sha256)),
      90,
      `${host.name} knows what ${other} serves`,
    );
    const { engines, models } = documentAt(host);
    expect(engines.map(({ name, kind }) => [name, kind])).toEqual([
      [host.name, "local"],
      [other, "peer"],
    ]);
    expect(models.map(({ on }) => Object.keys(on).sort())).toEqual([["phantom", "shadow"]]);
    const own = ADDRESS[host.name as keyof typeof ADDRESS];
    const listening = (await said(host, ["ss", "-Hltn", "sport = :8772"])).trim();
    expect(listening.split(/\s+/)[3]).toBe(`${own}:8772`);
  }
}, 240_000);

test("without the paired certificate nobody comes in", async () => {
  const told = await script(
    lab.phantom,
    `try { const r = await fetch("https://${ADDRESS.shadow}:8772/shelter/health", { tls: { rejectUnauthorized: false } }); console.log("in", r.status) } catch (e) { console.log("out") }`,
  );
  expect(told.trim()).toBe("out");
}, 30_000);

test("an engine that dies in mid-sentence is carried on by the other host, to the same text", async () => {
  const whole = await stream(lab.shadow);
  expect(whole.text).toContain("12");
  // what it kept of the prompt must not differ between the two
  await until(async () => (await ask(lab.phantom)).startsWith("200 "), 30, "an answer of phantom");
  const kill = `for (const pid of require("node:fs").readdirSync("/proc")) { try {
    if (require("node:fs").readFileSync("/proc/" + pid + "/comm", "utf8") === "llama-server\\n") process.kill(Number(pid), "SIGKILL"); } catch {} }`;
  const cut = await stream(lab.shadow, kill);
  expect(cut.text).toBe(whole.text);
  console.log(
    `longest silence: ${Math.round(whole.silence)} ms undisturbed, ${Math.round(cut.silence)} ms over a kill -9`,
  );
  expect(cut.silence).toBeLessThan(5000);
  await until(
    async () => (await property(lab.shadow, "shelter-engine.service", "ActiveState")) === "active",
    60,
    "the engine is back",
  );
}, 180_000);

test("with its engine stopped a host answers through the other, and by itself again after", async () => {
  await said(lab.shadow, ["systemctl", "stop", "shelter-engine.service"]);
  expect(await ask(lab.shadow)).toStartWith("200 ");
  const { text } = await stream(lab.shadow);
  expect(text).toContain("12");
  await said(lab.shadow, ["systemctl", "start", "shelter-engine.service"]);
  const serves = async () =>
    script(
      lab.shadow,
      `const key = (await Bun.file("${HOME}/runtime/services/gateway.key").text()).trim();
       const s = await (await fetch("http://127.0.0.1:8770/shelter/status", { headers: { authorization: "Bearer " + key } })).json(); console.log(s.serves)`,
    );
  await until(
    async () => (await serves()).trim() === "shadow",
    90,
    "shadow serves by itself again",
  );
}, 240_000);

test("forgetting each other closes the doors, and undo leaves both as they were", async () => {
  const undo = await lab.shelter(lab.phantom, ["shelter", "pair", "shadow", "--undo"]);
  expect({ code: undo.code, err: undo.code === 0 ? "" : undo.stderr }).toEqual({
    code: 0,
    err: "",
  });
  for (const host of [lab.phantom, lab.shadow]) {
    await until(
      () => Promise.resolve(documentAt(host).engines.length === 1),
      60,
      `${host.name} has forgotten`,
    );
    await until(
      async () => (await said(host, ["ss", "-Hltn", "sport = :8772"])) === "",
      30,
      `${host.name} has closed its door`,
    );
    const watcher = WATCHER[host.name as keyof typeof WATCHER];
    const ran = await asRoot(host, watcher, "--undo", "--json");
    expect(documentOf(ran)).toMatchObject({ outcome: "changed" });
    expect((await host.run(["test", "-e", "/usr/local/lib/mountain-shelter"])).code).toBe(1);
  }
}, 240_000);
