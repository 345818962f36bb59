/** Hundreds of rude clients at both doors of a gateway of its own process, while its engines are killed, frozen and revived: it lives, loses no patient client's answer, and keeps nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { makeAuthority } from "../support/certificates.ts";
import { serveScripted, type EngineServer } from "../support/engine_server.ts";
import { startGatewayProgram, type GatewayProgram } from "../support/gateway_program.ts";
import { localEngine, worldFolder } from "../support/gateway_world.ts";
import { readAnswer } from "../support/read_answer.ts";
import { rudeClient, seeded, type Door } from "../support/rude_clients.ts";

const ROUNDS = 3;
/** Rude clients of a round at each door, and patient ones at the clients'. */
const RUDE = 120;
const PATIENT = 12;
/** How long a round's clients come in, and how long the rude ones stay, in milliseconds. */
const WHILE = 1600;
const STAY = 700;

const TOKENS = Array.from({ length: 60 }, (_, at) => ` word${at}`);
const TEXT = TOKENS.join("");
const place = worldFolder();
let engines: { readonly phantom: EngineServer; readonly shadow: EngineServer };
let phantom: GatewayProgram;
let shadow: GatewayProgram;
let doors: readonly Door[];

beforeAll(async () => {
  const authority = makeAuthority(place.folder);
  const [phantomId, shadowId] = [authority.issue("phantom"), authority.issue("shadow")];
  const pairing = ({ cert, key }: { cert: string; key: string }) => ({
    cert,
    key,
    ca: authority.ca,
  });
  const troubles = Array.from({ length: 10_000 }, () => ({ pieces: [700] }));
  const script = { tokens: TOKENS };
  engines = {
    phantom: serveScripted(place.folder, script, troubles, 10),
    shadow: serveScripted(place.folder, script, troubles, 10),
  };
  phantom = await startGatewayProgram(place.folder, {
    host: "phantom",
    pairing: pairing(phantomId),
    peers: { address: "127.0.0.1", port: 0, allow: [shadowId.fingerprint] },
    engines: [localEngine("phantom", engines.phantom, 16)],
  });
  shadow = await startGatewayProgram(place.folder, {
    host: "shadow",
    pairing: pairing(shadowId),
    warm: true,
    engines: [
      localEngine("shadow", engines.shadow, 8),
      {
        name: "phantom",
        kind: "peer",
        url: `https://127.0.0.1:${phantom.peersPort}`,
        fingerprint: phantomId.fingerprint,
        slots: 8,
      },
    ],
  });
  await Promise.all([phantom.settled(), shadow.settled()]);
  const read = (file: string) => readFileSync(file, "utf8");
  doors = [
    { port: Number(new URL(shadow.url).port), key: shadow.key },
    {
      port: phantom.peersPort ?? 0,
      tls: { cert: read(shadowId.cert), key: read(shadowId.key), ca: read(authority.ca) },
    },
  ];
});
afterAll(async () => {
  await Promise.all([phantom.stop(), shadow.stop()]);
  engines.phantom.kill();
  engines.shadow.kill();
  place.dispose();
});

/** A client that waits for its whole answer. */
async function patient(stream: boolean): Promise<string> {
  const body = { messages: [{ role: "user", content: "Go" }], temperature: 0, stream };
  const answer = await readAnswer(
    fetch(`${shadow.url}/v1/chat/completions`, {
      method: "POST",
      headers: { Authorization: `Bearer ${shadow.key}` },
      body: JSON.stringify(body),
      keepalive: false,
    }),
  );
  return answer.whole && answer.text === TEXT ? "whole" : JSON.stringify(answer);
}

/** What happens to the engines, one at a time, over each round. */
const TROUBLES: readonly (() => Promise<void>)[] = [
  () => killed(engines.shadow),
  () => killed(engines.phantom),
  async () => {
    await Bun.sleep(WHILE * 0.2);
    engines.shadow.freeze(); // its health, too, for longer than that is borne
    await Bun.sleep(WHILE);
    engines.shadow.thaw();
  },
];

async function killed(engine: EngineServer): Promise<void> {
  await Bun.sleep(WHILE * 0.2);
  engine.kill();
  await Bun.sleep(WHILE * 0.4);
  engine.revive();
}

async function round(number: number): Promise<readonly string[]> {
  const chance = seeded(number + 1);
  const rude: Promise<void>[] = [];
  const answers: Promise<string>[] = [];
  const troubled = TROUBLES[number % TROUBLES.length]?.();
  for (let client = 0; client < RUDE; client++) {
    for (const door of doors) rude.push(rudeClient(door, chance, STAY));
    if (client % (RUDE / PATIENT) === 0) answers.push(patient(client % 20 === 0).catch(String));
    await Bun.sleep(WHILE / RUDE);
  }
  await Promise.all([...rude, troubled]);
  return Promise.all(answers);
}

/** What both hold while nobody asks: the least of some looks, for their own questions to engines come and go. */
async function held(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 10; look++) {
    least = Math.min(least, phantom.descriptors() + shadow.descriptors());
    await Bun.sleep(30);
  }
  return least;
}

async function busy(): Promise<number> {
  const all = await Promise.all([phantom.status(), shadow.status()]);
  return (
    all as unknown as { engines: { answering: number }[]; queue: { waiting: number } }[]
  ).reduce(
    (sum, { engines: theirs, queue }) =>
      theirs.reduce((inner, { answering }) => inner + answering, sum + queue.waiting),
    0,
  );
}

async function until(what: () => Promise<boolean>): Promise<boolean> {
  const end = Date.now() + 8000;
  while (!(await what())) {
    if (Date.now() > end) return false;
    await Bun.sleep(50);
  }
  return true;
}

test("an onslaught of rude clients ends nothing, loses no answer and leaves nothing behind", async () => {
  const before = await held();
  const memory: number[] = [];
  for (let number = 0; number < ROUNDS; number++) {
    expect(await round(number)).toEqual(Array.from({ length: PATIENT }, () => "whole"));
    const idle = await until(async () => (await busy()) === 0);
    const released = await until(async () => (await held()) <= before);
    const ended = [phantom.ended(), shadow.ended()];
    expect({ idle, released, ended }).toEqual({
      idle: true,
      released: true,
      ended: [undefined, undefined],
    });
    memory.push(phantom.memory() + shadow.memory());
  }
  expect([...phantom.notes, ...shadow.notes]).toEqual([]);
  expect(await patient(true)).toBe("whole");
  const [first = 0, ...later] = memory;
  // a heap grows and shrinks by tens of megabytes; what leaks grows with each round
  expect(Math.max(...later) - first).toBeLessThan(100e6);
}, 60_000);
