/** How an alert leaves the watcher: on the desktop, and to the operator's own program. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { allowCommand } from "../../lib/hosts/alert_command.ts";
import type { Notice } from "../../lib/watch/alerts.ts";
import { createTelling } from "../../lib/watch/notices.ts";
import { FAKE_HOME, fakeMachine, type FakeFile, type FakeWorld } from "../support/fake_machine.ts";

let world: FakeWorld;
let heard: { readonly argv: readonly string[]; readonly input?: string; readonly env: object }[];
const lines: string[] = [];
const PROGRAM = "/usr/local/bin/tell-me";
const good: FakeFile = { text: "#!", mode: 0o755 };

beforeEach(() => {
  heard = [];
  lines.length = 0;
  const program = (
    argv: readonly string[],
    _: FakeWorld,
    { input, env }: { readonly input?: string; readonly env: object },
  ) => {
    heard.push({ argv, ...(input === undefined ? {} : { input }), env });
    return { code: 0 };
  };
  world = fakeMachine({ programs: { "notify-send": program, "tell-me": program } });
  world.write(PROGRAM, good);
});
afterEach(() => world.dispose());

const notice: Notice = {
  because: "new",
  alert: {
    id: "engine-halted",
    level: "fail",
    since: "2026-05-01T10:00:00.000Z",
    count: 1,
    what: 'the engine is given up: <b>"$(id)"</b> & more\u001b[2J',
    fix: ["journalctl", "-u", "shelter-engine.service"],
  },
};

const ARGV = [PROGRAM, "--to me"];

async function tell(config: string, allowed: readonly string[] = ARGV): Promise<void> {
  world.write(`${FAKE_HOME}/shared.cfg`, config);
  const probe = createProbe(world.machine, FAKE_HOME, "phantom");
  allowCommand(probe, createAct(world.machine, probe), allowed);
  const nothing = () => undefined;
  const say = { line: (text: string) => void lines.push(text), detail: nothing };
  const telling = createTelling({
    probe,
    act: createAct(world.machine, probe),
    say: { ...say, progress: nothing, stream: nothing },
  });
  telling.tell(notice);
  await telling.idle();
}
const COMMAND = `alerts: {command: [${PROGRAM}, "--to me"]}\n`;

test("the operator's program gets the alert as JSON on its input, its own arguments, and nothing else", async () => {
  await tell(COMMAND);
  expect(heard).toHaveLength(1);
  expect(heard[0]?.argv).toEqual([PROGRAM, "--to me"]);
  expect(JSON.parse(heard[0]?.input ?? "")).toEqual({
    schema: 1,
    host: "phantom",
    at: expect.any(String),
    because: "new",
    alert: notice.alert,
  });
});

test("where the owner has a session, the desktop is told: no markup and no control character of the text counts", async () => {
  const uid = createProbe(world.machine, FAKE_HOME, "phantom").owner.uid;
  world.write(`/run/user/${uid}/bus`, "");
  await tell("");
  expect(heard.map(({ argv }) => argv[0])).toEqual(["notify-send"]);
  const body = heard[0]?.argv.at(-1) ?? "";
  expect(body).not.toContain("<");
  expect(body).not.toContain("\u001b");
  expect(heard[0]?.argv.at(-3)).toBe("--");
  expect(heard[0]?.env).toMatchObject({
    DBUS_SESSION_BUS_ADDRESS: `unix:path=/run/user/${uid}/bus`,
  });
});

test.each([
  ["nothing", []],
  ["the program with other arguments", [PROGRAM]],
  ["the same words, apart in another way", [PROGRAM, "--to", "me"]],
])(
  "where the operator of this host allowed %s, a command from shared.cfg is not run, and what allows it is said",
  async (_, allowed) => {
    await tell(COMMAND, allowed);
    expect(heard).toEqual([]);
    expect(lines.join("\n")).toContain("./bin/shelter watch --allow-command");
  },
);

test("with neither, nothing is started", async () => {
  await tell("");
  expect(heard).toEqual([]);
});

test.each([
  ["is not there", (at: FakeWorld) => at.remove(PROGRAM)],
  ["is not executable", (at: FakeWorld) => at.write(PROGRAM, { text: "#!", mode: 0o644 })],
  ["may be changed by others", (at: FakeWorld) => at.write(PROGRAM, { text: "#!", mode: 0o777 })],
  [
    "stands in the home",
    (at: FakeWorld) => {
      at.write(`${FAKE_HOME}/agents/tell-me`, good);
      at.remove(PROGRAM);
      at.write(PROGRAM, { link: at.path(`${FAKE_HOME}/agents/tell-me`) });
    },
  ],
] as const)("a program that %s is not run, and that is said", async (why, arrange) => {
  arrange(world);
  await tell(COMMAND);
  expect(heard).toEqual([]);
  expect(lines.join("\n")).toContain(why);
});

test("a shared.cfg that can't be used stops no alert from being said", async () => {
  await tell("alerts: [\n");
  expect(heard).toEqual([]);
  expect(lines[0]).toContain("fail: the engine is given up");
  expect(lines[1]).toContain("shared.cfg can't be used");
});

test("a notice that can't be told at all is said in the log, ends nothing, and the next one is told", async () => {
  world.write(`${FAKE_HOME}/shared.cfg`, COMMAND);
  world.write("/run/user/1000/bus", "");
  const probe = createProbe(world.machine, FAKE_HOME, "phantom");
  const act = createAct(world.machine, probe);
  allowCommand(probe, act, ARGV);
  let failing = true;
  const run: typeof act.run = (argv, options) => {
    if (!failing) return act.run(argv, options);
    return Promise.reject(
      Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" }),
    );
  };
  const say = { line: (text: string) => void lines.push(text), detail: () => undefined };
  const telling = createTelling({
    probe,
    act: { ...act, run },
    say: { ...say, progress: () => undefined, stream: () => undefined },
  });
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on("unhandledRejection", note);
  try {
    telling.tell(notice);
    await Bun.sleep(50); // a rejection that nobody takes is told a turn later
    failing = false;
    telling.tell(notice);
    await telling.idle();
  } finally {
    process.off("unhandledRejection", note);
  }
  expect(unhandled).toEqual([]);
  expect(lines.join("\n")).toContain("could not be told: writing a file: too many files are open");
  expect(heard.map(({ argv }) => argv[0])).toContain(PROGRAM);
});
