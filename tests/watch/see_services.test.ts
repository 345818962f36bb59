/** What the watcher's eyes make of a gateway that is silent and of an engine that is asked for a token: one bad moment condemns nobody. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { inHome } from "../../lib/keep/home.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { serviceEyes } from "../../lib/watch/see_services.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";

const KEY_FILE = `${FAKE_HOME}/runtime/key`;
const LOCAL = "http://127.0.0.1:8081";
const DOCUMENT = {
  schema: 1,
  host: "here",
  listen: { address: "127.0.0.1", port: 8080, keyFile: KEY_FILE },
  engines: [{ name: "here", kind: "local", url: LOCAL, keyFile: KEY_FILE }],
};
const FAILED = "LoadState=loaded\nActiveState=failed\nResult=signal\nExecMainStatus=9\n";

/** How the services stand; a test changes it between two looks. */
let now: {
  gateway: boolean;
  document?: string;
  health: number;
  token: boolean;
  unit: string;
  models: readonly object[];
};
let questions: Record<string, unknown>[];
let world: FakeWorld;
let look: () => ReturnType<ReturnType<typeof serviceEyes>>;

function watching(document: object = DOCUMENT): void {
  world.write(inHome.gateway(FAKE_HOME), JSON.stringify(document));
  const eyes = serviceEyes(createProbe(world.machine, FAKE_HOME, "here"));
  let uptime = 0;
  look = async () => {
    const seen = await eyes((uptime += 5000)); // each look may ask for a token
    await Bun.sleep(5);
    return seen;
  };
}

beforeEach(() => {
  now = {
    gateway: true,
    health: 200,
    token: true,
    unit: "LoadState=loaded\nActiveState=active\n",
    models: [],
  };
  questions = [];
  world = fakeMachine({
    files: { [KEY_FILE]: "0123456789abcdef\n" },
    programs: { systemctl: () => ({ stdout: now.unit }) },
    fetch: async (url, init) => {
      const { origin, pathname } = new URL(url);
      if (origin !== LOCAL) {
        if (!now.gateway) throw new Error("The operation timed out.");
        const { document } = now;
        return Response.json({ engines: [{ name: "here", state: "down" }], document });
      }
      if (pathname === "/health") return new Response("{}", { status: now.health });
      if (pathname === "/v1/models") return Response.json({ data: now.models });
      questions.push(
        JSON.parse(typeof init?.body === "string" ? init.body : "") as Record<string, unknown>,
      );
      return now.token
        ? Response.json({ choices: [{ text: "!" }] })
        : new Response(null, { status: 500 });
    },
  });
  watching();
});
afterEach(() => world.dispose());

test("a gateway that runs and is silent is down at the third look in a row, no sooner", async () => {
  expect((await look()).gateway).toEqual({ state: "up" });
  for (let turn = 0; turn < 3; turn++) {
    now.gateway = false;
    expect((await look()).gateway).toEqual({ state: "up" });
    expect((await look()).gateway).toEqual({ state: "up" });
    now.gateway = true;
    expect((await look()).gateway).toEqual({ state: "up" });
  }
  now.gateway = false;
  await look();
  await look();
  expect((await look()).gateway).toMatchObject({ state: "down" });
});

test("a gateway that systemd says is dead is down at once", async () => {
  await look();
  now.gateway = false;
  now.unit = FAILED;
  expect((await look()).gateway).toMatchObject({ state: "down", why: "it was ended by signal 9" });
});

test("the engine is down after two unanswered questions in a row, no sooner", async () => {
  await look();
  expect((await look()).engine).toEqual({ state: "up" });
  now.token = false;
  await look();
  expect((await look()).engine).toEqual({ state: "up" }); // one question failed
  now.token = true;
  await look();
  expect((await look()).engine).toEqual({ state: "up" });
  now.token = false;
  await look();
  await look();
  expect((await look()).engine).toMatchObject({ state: "down" });
});

test("an engine that was started anew is not judged by what the one before did not answer", async () => {
  now.token = false;
  await look();
  await look();
  expect((await look()).engine).toMatchObject({ state: "down" });
  now.health = 503;
  expect((await look()).engine).toEqual({ state: "starting" });
  now.health = 200;
  expect((await look()).engine).toEqual({ state: "starting" });
  expect((await look()).engine).toEqual({ state: "starting" }); // one question failed
  expect((await look()).engine).toMatchObject({ state: "down" });
});

test("the question is for the model that the gateway asks for, else for a loaded one", async () => {
  now.models = [
    { id: "another", status: { value: "unloaded" } },
    { id: "loaded", status: { value: "loaded" } },
  ];
  watching({ ...DOCUMENT, models: [{ name: "ours", on: { here: { name: "first" } } }] });
  await look();
  await look();
  expect(questions[0]).toMatchObject({ model: "first" });
  watching();
  await look();
  await look();
  expect(questions.at(-1)).toMatchObject({ model: "loaded" });
  now.models = [{ id: "only" }];
  watching();
  await look();
  await look();
  expect(questions.at(-1)).toMatchObject({ model: "only" });
});

test("a gateway that goes by an older document is up, and says why", async () => {
  now.document = "shared.cfg is damaged: line 2";
  expect((await look()).gateway).toEqual({
    state: "up",
    outdated: "shared.cfg is damaged: line 2",
  });
  delete now.document;
  expect((await look()).gateway).toEqual({ state: "up" });
});
