/** What a gateway stands on changes while it runs: whatever can't be used, the last good one serves on, and no answer pays for it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runGateway } from "../../lib/gateway/run.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { makeAuthority, type Authority, type Issued } from "../support/certificates.ts";
import { serveScripted, type EngineServer } from "../support/engine_server.ts";
import { startGatewayProgram } from "../support/gateway_program.ts";
import { freePort, localEngine, startGateway, worldFolder } from "../support/gateway_world.ts";
import { readAnswer } from "../support/read_answer.ts";

const TOKENS = Array.from({ length: 100 }, (_, at) => ` word${at}`);
const TEXT = TOKENS.join("");
const CHAT = { messages: [{ role: "user", content: "Go" }], stream: true };
const place = worldFolder();
let authority: Authority;
let engine: EngineServer;

beforeAll(() => {
  authority = makeAuthority(place.folder);
  const troubles = Array.from({ length: 100 }, () => ({ pieces: [300] }));
  engine = serveScripted(place.folder, { tokens: TOKENS }, troubles, 40);
});
afterAll(() => {
  engine.kill();
  place.dispose();
});

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await what())) {
    if (Date.now() > end) throw new Error("it did not come about");
    await Bun.sleep(30);
  }
}

/** A document with a door for peers, at ports that stay. */
async function paired(own: Issued, keyFile: string) {
  return {
    listen: { address: "127.0.0.1", port: await freePort(), keyFile },
    pairing: { cert: own.cert, key: own.key, ca: authority.ca },
    peers: { address: "127.0.0.1", port: await freePort(), allow: [own.fingerprint] },
    engines: [localEngine("shadow", engine)],
  };
}

function keyFileOf(name: string): string {
  const file = join(place.folder, name);
  writeFileSync(file, "key\n", { mode: 0o600 });
  return file;
}

test("a certificate that is only half there costs nobody his service, and leaves no second watcher", async () => {
  const own = authority.issue("half");
  const gateway = await startGateway(
    place.folder,
    await paired(own, keyFileOf("half-client.key")),
    false,
  );
  const { listen } = JSON.parse(readFileSync(gateway.path, "utf8")) as { listen: { port: number } };
  const up = async () => (await fetch(`http://127.0.0.1:${listen.port}/health`)).ok;
  try {
    await until(up);
    const whole = readFileSync(own.cert, "utf8");
    writeFileSync(own.cert, whole.slice(0, 200));
    await until(() => gateway.notes.some((note) => note.includes("the last good one stays")));
    await until(up);
    const before = engine.looks;
    await Bun.sleep(2500);
    // one a second; while an engine comes up, two more
    expect(engine.looks - before).toBeLessThan(5);
    writeFileSync(own.cert, whole);
    await until(() => gateway.notes.at(-1)?.includes("goes on with it") === true);
    await until(up);
  } finally {
    await gateway.stop();
  }
}, 30_000);

test("where even the last good one can't be had again, it is tried until it can", async () => {
  const home = join(place.folder, "taken");
  mkdirSync(home);
  const own = authority.issue("taken");
  const document = await paired(own, keyFileOf("taken-client.key"));
  const path = join(home, "gateway.json");
  writeFileSync(path, JSON.stringify({ schema: 1, host: "here", ...document }));
  const notes: string[] = [];
  const { port } = document.listen;
  let taker: { stop(): void } | undefined;
  const stopping = new AbortController();
  const ended = runGateway(
    {
      probe: createProbe(thisMachine(), home, "here"),
      path,
      onNote: (note) => {
        notes.push(note);
        // another program is quicker than the gateway
        if (note.includes("the last good one stays")) {
          const socket = { data: () => undefined };
          taker = Bun.listen({ hostname: "127.0.0.1", port, socket });
        }
      },
    },
    stopping.signal,
  );
  const gone = ended.then(
    () => "ended",
    (error: unknown) => String(error),
  );
  const up = async () =>
    (await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined))?.ok === true;
  try {
    await until(up);
    writeFileSync(own.key, "no key");
    await until(() => notes.some((note) => note.startsWith("nobody can come in")));
    expect(await Promise.race([gone, Bun.sleep(2500)])).toBeUndefined();
    taker?.stop();
    await until(up);
    expect(notes.filter((note) => note.startsWith("nobody can come in"))).toHaveLength(1);
  } finally {
    taker?.stop();
    stopping.abort(new Error("the test is over"));
    await gone;
  }
}, 30_000);

test("a document that could not be had at first is taken up once it can, also where the one before is gone", async () => {
  const home = join(place.folder, "moved");
  mkdirSync(home);
  const document = await paired(authority.issue("moved"), keyFileOf("moved-client.key"));
  const path = join(home, "gateway.json");
  const write = (listening: object) =>
    writeFileSync(
      path,
      JSON.stringify({ schema: 1, host: "here", ...document, listen: listening }),
    );
  write(document.listen);
  const socket = { data: () => undefined };
  const take = (port: number) => Bun.listen({ hostname: "127.0.0.1", port, socket });
  const wanted = take(0);
  const takers = [wanted];
  const notes: string[] = [];
  const stopping = new AbortController();
  const ended = runGateway(
    {
      probe: createProbe(thisMachine(), home, "here"),
      path,
      onNote: (note) => {
        notes.push(note);
        if (note.includes("the last good one stays")) takers.push(take(document.listen.port));
      },
    },
    stopping.signal,
  );
  const up = async (port: number) =>
    (await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined))?.ok === true;
  try {
    await until(() => up(document.listen.port));
    write({ ...document.listen, port: wanted.port });
    await until(() => notes.some((note) => note.startsWith("nobody can come in")));
    wanted.stop();
    await until(() => up(wanted.port));
  } finally {
    for (const one of takers) one.stop();
    stopping.abort(new Error("the test is over"));
    await ended;
  }
}, 30_000);

test("answers that began under an older document have their time, too, when the program ends, and it ends with the last of them", async () => {
  const gateway = await startGatewayProgram(place.folder, {
    engines: [localEngine("shadow", engine)],
  });
  await gateway.settled();
  const document = JSON.parse(readFileSync(gateway.path, "utf8")) as Record<string, unknown>;
  const began = engine.asked.length;
  // goes on while the document is looked at, and after
  const asked = readAnswer(
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { Authorization: `Bearer ${gateway.key}` },
      body: JSON.stringify(CHAT),
    }),
  );
  await until(() => engine.asked.length > began);
  const engines = [localEngine("shadow", engine, 5)];
  writeFileSync(gateway.path, JSON.stringify({ ...document, engines }));
  await until(() => gateway.notes.length > 0);
  const told = performance.now();
  await gateway.stop();
  expect(performance.now() - told).toBeLessThan(8000);
  expect(gateway.notes).toEqual(["the document has changed; the gateway goes on with it"]);
  expect(await asked).toMatchObject({ text: TEXT, whole: true, error: undefined });
}, 30_000);
