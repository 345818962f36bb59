/**
 * What clients see of a disturbance: two booted hosts, paired, with their services; four askers at shadow's gateway, and the same at HAProxy in front of
 * the same engines. Needs root, and what the lab and the engine tier need.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { engineHome } from "../support/engine_home.ts";
import { asRoot, ask, giveEngine } from "../lab/served_host.ts";
import { bootPairedHosts, connect, HOME, said, type TwoHosts, USER } from "../lab/two_hosts.ts";
import { QUESTIONS } from "../support/questions.ts";
import type { Load, Seen } from "./failover_client.ts";
import type { Figure, Goal, Measured } from "./figure.ts";
import { HAPROXY_PORT, restartHaproxy, startHaproxy } from "./haproxy.ts";
import { BIN, REPOSITORY } from "./ways.ts";

const TOKENS = 96;
const MODEL = "smollm2-135m";
/** When the disturbance comes and when the askers stop asking, in milliseconds. */
const AMID = 4000;
const LASTS = 9000;
/** How often a disturbance may miss. */
const STRIKES = 3;
const CLIENT = "/opt/failover_client.js";

type Front = "gateway" | "haproxy";
const PORT: Readonly<Record<Front, number>> = { gateway: 8770, haproxy: HAPROXY_PORT };

/** One disturbance. */
interface Disturbance {
  readonly name: string;
  /** Longest silence that a stream may have, in milliseconds; what is not said has no goal but that nothing is lost. */
  readonly silence?: number;
  /** The local engine is stopped first, so that the peer answers; it is back when the disturbance comes. */
  readonly peerAnswers?: boolean;
  disturb(lab: TwoHosts): Promise<unknown>;
  mend(lab: TwoHosts): Promise<unknown>;
}

const signalled =
  (signal: string): Disturbance["disturb"] =>
  (lab) =>
    said(lab.shadow, ["pkill", `-${signal}`, "-x", "llama-server"]);
const engineBack = async (lab: TwoHosts) => {
  await said(lab.shadow, ["systemctl", "reset-failed", "shelter-engine"]);
  await said(lab.shadow, ["systemctl", "restart", "shelter-engine"]);
};
/** The engine answers again, and not a moment later: the gateway goes back to it only once it has kept calm for three seconds, and what is shown here comes before. */
const engineJustBack = async (lab: TwoHosts) => {
  await said(lab.shadow, ["systemctl", "restart", "--no-block", "shelter-engine"]);
  const code = `
    const headers = { authorization: "Bearer " + (await Bun.file("${HOME}/runtime/services/engine.key").text()).trim() };
    const body = JSON.stringify({ model: "${MODEL}", messages: [{ role: "user", content: "Go" }], max_tokens: 1 });
    const answers = () => fetch("http://127.0.0.1:8771/v1/chat/completions", { method: "POST", headers, body }).then(({ ok }) => ok, () => false);
    for (const until = Date.now() + 60_000; !(await answers()); ) {
      if (Date.now() > until) process.exit(1);
      await Bun.sleep(50);
    }`;
  const ran = await lab.shadow.run([`${HOME}/bin/shelter`, "-e", code], {
    as: USER,
    env: { BUN_BE_BUN: "1" },
  });
  if (ran.code !== 0) throw new Error(`shadow's engine is not back: ${ran.stderr}`);
};

const DISTURBANCES: readonly Disturbance[] = [
  { name: "kill -9 of the engine", silence: 1000, disturb: signalled("KILL"), mend: engineBack },
  { name: "SIGSTOP of the engine", silence: 5000, disturb: signalled("STOP"), mend: engineBack },
  { name: "SIGTERM of the engine", disturb: signalled("TERM"), mend: engineBack },
  {
    name: "a cut bridge while the peer answers",
    silence: 5000,
    peerAnswers: true,
    disturb: (lab) => lab.cable(false),
    mend: (lab) => lab.cable(true),
  },
  {
    name: "power-off of the answering peer",
    peerAnswers: true,
    disturb: (lab) => lab.phantom.cutPower(),
    mend: async (lab) => {
      await lab.phantom.powerOn();
      await connect(lab.phantom);
    },
  },
];

/** Measures all of it. Some minutes. */
export async function figures(): Promise<readonly Measured[]> {
  if (process.getuid?.() !== 0) return [{ name: "failover", leftOut: "the lab needs root" }];
  await engineHome();
  const lab = await bootPairedHosts(BIN, ["haproxy"]);
  try {
    await serve(lab);
    await startHaproxy(lab);
    const measured: Figure[] = [];
    const undisturbed = await under(lab, "gateway");
    const texts = new Set(undisturbed.seen.map((one) => `${one.question} ${one.text}`));
    const lostAtRest = undisturbed.seen.filter((one) => !one.whole).length;
    if (lostAtRest > 0) throw new Error(`${lostAtRest} answers lost without any disturbance`);
    for (const disturbance of DISTURBANCES) {
      measured.push(...of(disturbance, await struck(lab, disturbance), texts));
      measured.push(beside(disturbance, await under(lab, "haproxy", disturbance)));
    }
    return measured;
  } finally {
    await lab.stop();
  }
}

/** Engines, services and pairing on both; the watchers are stopped: they would start engines amid the measurement. */
async function serve(lab: TwoHosts): Promise<void> {
  const key = `${"5".repeat(64)}\n`;
  for (const [name, watcher] of [
    ["phantom", "06_phantom_watchdog"],
    ["shadow", "06_shadow_control"],
  ] as const) {
    const host = lab[name];
    await giveEngine(host);
    // one key for both engines, so that HAProxy need not know two
    const folder = join(HOME, "runtime/services");
    await said(host, ["install", "-d", "-m", "700", "-o", USER, "-g", USER, folder]);
    writeFileSync(join(host.root, folder, "engine.key"), key, { mode: 0o600 });
    await said(host, ["chown", `${USER}:${USER}`, join(folder, "engine.key")]);
    const ran = await asRoot(host, watcher, "--yes", "--json");
    if (ran.code !== 0) throw new Error(ran.stdout + ran.stderr);
    await said(host, ["systemctl", "stop", "shelter-watch"]);
  }
  const built = await Bun.build({
    entrypoints: [join(REPOSITORY, "tests/bench/failover_client.ts")],
    target: "bun",
  });
  const [bundle] = built.outputs;
  if (!bundle) throw new Error("the client could not be bundled");
  writeFileSync(join(lab.shadow.root, CLIENT), await bundle.text());
}

interface Run {
  readonly seen: readonly Seen[];
  /** When the disturbance was done, in milliseconds since the epoch. */
  readonly at: number;
}

/** Runs until the disturbance has struck: one amid which nothing was carried over and nothing lost came between two answers, and shows nothing. */
async function struck(lab: TwoHosts, disturbance: Disturbance): Promise<Run> {
  for (let left = STRIKES; ; left--) {
    const run = await under(lab, "gateway", disturbance);
    if (left === 1 || run.seen.some((one) => one.carried > 0 || !one.whole)) return run;
  }
}

/** The load at one front, with or without a disturbance, from and to a quiet lab. */
async function under(lab: TwoHosts, front: Front, disturbance?: Disturbance): Promise<Run> {
  await settled(lab);
  if (disturbance?.peerAnswers) await said(lab.shadow, ["systemctl", "stop", "shelter-engine"]);
  await Bun.sleep(1500); // what was stopped is known as such
  const running = load(lab, front);
  await Bun.sleep(AMID);
  if (disturbance?.peerAnswers) await engineJustBack(lab);
  const at = Date.now();
  await disturbance?.disturb(lab);
  const seen = await running;
  await disturbance?.mend(lab);
  return { seen, at };
}

/** Both engines answer, and both fronts have forgotten what was. */
async function settled(lab: TwoHosts): Promise<void> {
  for (const host of [lab.phantom, lab.shadow]) {
    // so many starts in so little time are what systemd's limit is there against
    await said(host, ["systemctl", "reset-failed", "shelter-engine", "shelter-gateway"]);
    await said(host, ["systemctl", "restart", "shelter-gateway"]);
    await said(host, ["systemctl", "stop", "shelter-watch"]);
    const until = Date.now() + 90_000;
    while (!(await ask(host)).startsWith("200 ")) {
      if (Date.now() > until) throw new Error(`${host.name} does not answer any more`);
      await Bun.sleep(250);
    }
  }
  await restartHaproxy(lab);
  await Bun.sleep(2500); // the peer's door is looked at every two seconds
}

async function load(lab: TwoHosts, front: Front): Promise<readonly Seen[]> {
  const document: Load = {
    url: `http://127.0.0.1:${PORT[front]}`,
    keyFile: join(HOME, "runtime/services", front === "gateway" ? "gateway.key" : "engine.key"),
    model: MODEL,
    questions: QUESTIONS,
    tokens: TOKENS,
    lasts: LASTS,
  };
  const ran = await lab.shadow.run([`${HOME}/bin/shelter`, CLIENT, JSON.stringify(document)], {
    as: USER,
    env: { BUN_BE_BUN: "1" },
  });
  if (ran.code !== 0) throw new Error(`the askers ended with ${ran.code}: ${ran.stderr}`);
  return ran.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Seen);
}

/** What became of the answers: how many were lost, how many of the open ones were streams, the longest silence. */
function summary({ seen, at }: Run) {
  const lost = seen.filter((one) => !one.whole);
  const open = seen.filter((one) => one.began <= at && one.ended >= at);
  const streams = open.filter((one) => one.streamed);
  return { lost, open, streams, silence: Math.max(0, ...streams.map((one) => one.silence)) };
}

function of(disturbance: Disturbance, run: Run, undisturbed: ReadonlySet<string>): Figure[] {
  const { lost, open, streams, silence } = summary(run);
  const carried = run.seen.filter((one) => one.carried > 0);
  const equal = carried.filter((one) => undisturbed.has(`${one.question} ${one.text}`));
  const how = `${run.seen.length} answers, ${open.length} open amid it (${streams.length} streams), ${carried.length} carried over${lost[0]?.error === undefined ? "" : `; ${lost[0].error}`}`;
  const figure = (name: string, unit: string, goal: Goal, value: number): Figure => ({
    name: `gateway, ${disturbance.name}: ${name}`,
    unit,
    goal,
    values: [value],
    how,
  });
  return [
    figure("answers lost", "answers", { atMost: 0 }, lost.length),
    // an engine's own sums hang on who else asks: not every difference is a seam. Where nothing was carried over, nothing was shown
    figure(
      "carried over, equal to the undisturbed",
      "of all",
      { atLeast: 1 },
      carried.length === 0 ? 0 : equal.length / carried.length,
    ),
    ...(disturbance.silence === undefined
      ? []
      : [figure("longest silence of a stream", "ms", { atMost: disturbance.silence }, silence)]),
  ];
}

/** HAProxy's figure has no goal: it stands beside ours. */
function beside(disturbance: Disturbance, run: Run): Figure {
  const { lost, open, streams } = summary(run);
  return {
    name: `HAProxy, ${disturbance.name}: answers lost`,
    unit: "answers",
    goal: { comparison: true },
    values: [lost.length],
    how: `${run.seen.length} answers, ${open.length} open amid it (${streams.length} streams), ${lost.filter((one) => one.streamed).length} streams lost`,
  };
}
