/** The gateway as a service: what it is made from may be damaged, and it still serves by the last good document. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { inHome } from "../../lib/keep/home.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { Notifier } from "../../lib/machine/notify.ts";
import { runGatewayService } from "../../lib/services/gateway_program.ts";
import { inServices } from "../../lib/services/places.ts";
import { GATEWAY_CERTIFICATE, GATEWAY_KEY } from "../../lib/trust/store.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { SILENT } from "../support/run.ts";
import { offerOf, trusts } from "../support/two_worlds.ts";

let world: FakeWorld;
let said: string[];
let told: string[];
/** Ports of the test's own, so that no other gateway is met. */
let ports: string;
let running: { end(): Promise<void> } | undefined;

beforeEach(() => {
  const [one, two] = [0, 0].map(() => Bun.serve({ port: 0, fetch: () => new Response() }));
  ports = `ports: { gateway: ${one?.port}, peers: ${two?.port} }\n`;
  void one?.stop(true);
  void two?.stop(true);
  [said, told] = [[], []];
  world = fakeMachine({ files: { [inHome.config(FAKE_HOME)]: ports } });
});
afterEach(async () => {
  await running?.end();
  running = undefined;
  world.dispose();
});

/** Starts it, and waits until it listens. */
async function start(): Promise<void> {
  const probe = createProbe(world.machine, FAKE_HOME, "testhost");
  const act = createAct(world.machine, probe);
  const over = new AbortController();
  const say = { ...SILENT, line: (line: string) => void said.push(line) };
  let listening: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => (listening = resolve));
  const notifier: Notifier = {
    every: undefined,
    ready(text) {
      told.push(text);
      listening();
    },
    status: (text) => void told.push(text),
    alive: () => undefined,
    stopping: () => undefined,
  };
  const serving = runGatewayService({ probe, act, say, signal: over.signal }, notifier);
  await Promise.race([ready, serving]);
  running = {
    async end() {
      over.abort(new Error("over"));
      await serving;
    },
  };
}

async function again(): Promise<void> {
  await running?.end();
  running = undefined;
  [said, told] = [[], []];
  await start();
}

/** What it says of itself to one who has the key. */
async function state(): Promise<Record<string, unknown>> {
  const { listen } = JSON.parse(world.read(inHome.gateway(FAKE_HOME))) as {
    listen: { port: number };
  };
  const key = world.read(inServices.gatewayKey(FAKE_HOME)).trim();
  const response = await fetch(`http://127.0.0.1:${listen.port}/shelter/status`, {
    headers: { Authorization: `Bearer ${key}` },
  });
  return (await response.json()) as Record<string, unknown>;
}

const BROKEN = {
  "a value that is not allowed": "ports: { gateway: 80 }\n",
  "no YAML at all": "hosts: [\n",
};
for (const [what, text] of Object.entries(BROKEN)) {
  test(`shared.cfg with ${what}: it starts by the last good document and says so`, async () => {
    await start();
    expect((await state())["document"]).toBeUndefined();
    const before = world.read(inHome.gateway(FAKE_HOME));
    world.write(inHome.config(FAKE_HOME), text);
    await again();
    const { document } = await state();
    expect(document).toContain(inHome.config(FAKE_HOME));
    expect(document).toContain("line ");
    expect(said.filter((line) => line.startsWith("The document stays as it is: "))).toHaveLength(1);
    expect(told.at(-1)).toMatch(/^listening on .* by an older document: .*shared\.cfg/);
    expect(world.read(inHome.gateway(FAKE_HOME))).toBe(before);
  });
}

test("with no document that is good, a damaged shared.cfg is the error", async () => {
  world.write(inHome.config(FAKE_HOME), "hosts: [\n");
  await expect(start()).rejects.toMatchObject({ id: "config-damaged" });
  world.write(inHome.gateway(FAKE_HOME), '{ "written_by": "shelter gateway run", ');
  await expect(start()).rejects.toMatchObject({ id: "config-damaged" });
});

test("a damaged trust file: its host stays in the document as it was, the others go on, and it is said", async () => {
  trusts(world, offerOf("shadow"));
  trusts(world, offerOf("third"));
  for (const name of [GATEWAY_CERTIFICATE, GATEWAY_KEY]) {
    world.write(inHome.identity(FAKE_HOME, name), "asked for by nobody here");
  }
  await start();
  const document = () =>
    JSON.parse(world.read(inHome.gateway(FAKE_HOME))) as { engines: { name: string }[] };
  const engines = () => document().engines.map(({ name }) => name);
  const before = document();
  const pem = world.read(inServices.peers(FAKE_HOME));
  expect(engines()).toEqual(["testhost", "shadow", "third"]);

  world.write(inHome.trust(FAKE_HOME, "shadow"), "{");
  await again();
  expect(document()).toEqual(before);
  const certificates = (text: string) => text.split(/(?=-----BEGIN)/).sort();
  expect(certificates(world.read(inServices.peers(FAKE_HOME)))).toEqual(certificates(pem));
  const words = `in what it says of shadow: ${inHome.trust(FAKE_HOME, "shadow")} is damaged: line 1, column 2`;
  expect((await state())["document"]).toContain(words);
  expect(said.join("\n")).toContain(words);

  // another pairing that ends meanwhile is taken up all the same
  world.remove(inHome.trust(FAKE_HOME, "third"));
  await again();
  expect(engines()).toEqual(["testhost", "shadow"]);
  // a file that was moved aside is no pairing any more
  world.remove(inHome.trust(FAKE_HOME, "shadow"));
  world.write(`${inHome.trust(FAKE_HOME, "shadow")}.damaged-20260101T000000Z`, "{");
  await again();
  expect(engines()).toEqual(["testhost"]);
  expect(world.read(inServices.peers(FAKE_HOME))).toBe("");
});
