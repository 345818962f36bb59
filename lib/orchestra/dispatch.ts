/** The command line of `shelter`: finds the subcommand, runs it, prints what it says. */
import { sayBanner } from "../cli/banner.ts";
import { readArgs, wantsJson } from "../cli/flags.ts";
import { guardOutput, print } from "../cli/output.ts";
import { findPlace } from "../cli/place.ts";
import { main, sayError } from "../cli.ts";
import { UsageError } from "../errors.ts";
import { thisMachine } from "../machine/machine.ts";
import { versionText } from "../release.ts";
import type { Args } from "../unit.ts";
import { type CommandRow, COMMANDS, commandRow, SHELTER_FLAGS } from "./commands.ts";
import { deskOf, othersOf, textOf, type Command, type Units } from "./desk.ts";
import { isScriptId, SHELTER, SHELTER_ID } from "./names.ts";

/** Each subcommand's code, loaded when it is called for. */
const CODE: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import("./up.ts")).up,
  status: async () => (await import("./status.ts")).status,
  plan: async () => (await import("./look.ts")).plan,
  verify: async () => (await import("./look.ts")).verify,
  next: async () => (await import("./status.ts")).next,
  undo: async () => (await import("./undo.ts")).undo,
  history: async () => (await import("./history.ts")).history,
  logs: async () => (await import("./history.ts")).logs,
  ask: async () => (await import("./ask.ts")).ask,
  serve: async () => (await import("./serve.ts")).serve,
  gateway: async () => (await import("./gateway.ts")).gateway,
  engine: async () => (await import("./engine.ts")).engine,
  act: async () => (await import("./act.ts")).act,
  watch: async () => (await import("./watch.ts")).watch,
  pair: async () => (await import("./pair.ts")).pair,
  peer: async () => (await import("./peer.ts")).peer,
  update: async () => (await import("./update.ts")).update,
  migrate: async () => (await import("./update.ts")).migrate,
  completions: async () => (await import("./words.ts")).completions,
};

/** Answers one command line; ends with `process.exitCode` set. */
export async function dispatch(argv: readonly string[], units: Units): Promise<void> {
  const json = wantsJson(argv);
  guardOutput();
  try {
    const { word, rest } = split(argv);
    if (isScriptId(word) && word !== SHELTER_ID) return await oneScript(word, rest, units);
    if (word === "help") return print(await help(rest[0] ?? ""));
    if (rest.includes("--version")) return print(versionText(SHELTER, json));
    if (rest.includes("--help") || rest.includes("-h")) return print(await help(word));
    await throughCitty(word, rest, units);
  } catch (error) {
    process.exitCode = sayError(error, json, SHELTER_ID);
  }
}

/** The subcommand and what else was said, wherever among the flags it stood. `shelter --plan` and `shelter up --plan` are `shelter plan`, and alone it is `shelter status`. */
function split(argv: readonly string[]): {
  readonly word: string;
  readonly rest: readonly string[];
} {
  for (const [at, word] of argv.entries()) {
    if (word.startsWith("-")) continue;
    const flag = argv[at - 1]?.replace(/^--/, "") ?? "";
    if (argv[at - 1]?.startsWith("--") && SHELTER_FLAGS[flag]?.type === "string") continue;
    if (word === SHELTER_ID || word === SHELTER) return split(argv.toSpliced(at, 1));
    const rest = argv.toSpliced(at, 1);
    const look =
      word === "up" ? ["plan", "verify"].find((one) => rest.includes(`--${one}`)) : undefined;
    if (look === undefined) return { word, rest };
    return { word: look, rest: rest.filter((one) => one !== `--${look}`) };
  }
  const mode = ["plan", "verify", "undo"].find((one) => argv.includes(`--${one}`));
  if (mode === undefined) return { word: "status", rest: argv };
  return { word: mode, rest: argv.filter((one) => one !== `--${mode}`) };
}

async function oneScript(word: string, rest: readonly string[], units: Units): Promise<void> {
  if (!isScriptId(word)) return;
  const load = units[word];
  if (load) return main((await load()).unit, rest, othersOf(units));
  const { sayAbsent } = await import("./absent.ts");
  return sayAbsent(word, rest);
}

async function help(word: string): Promise<string> {
  const { commandHelp, shelterHelp } = await import("./words.ts");
  const row = commandRow(word);
  return row && word !== "status" ? commandHelp(row) : shelterHelp();
}

/** citty's runCommand, not runMain, which turns every error into exit code 1. */
async function throughCitty(word: string, rest: readonly string[], units: Units): Promise<void> {
  const { defineCommand, runCommand } = await import("citty");
  if (!commandRow(word)) {
    throw new UsageError("usage", `${SHELTER} ${word}`, `there is no such command${meant(word)}`, [
      "./bin/shelter",
      "--help",
    ]);
  }
  const subCommands = Object.fromEntries(
    COMMANDS.map((row) => [
      row.name,
      defineCommand({
        meta: { name: row.name, description: row.summary },
        run: async ({ rawArgs }) => {
          const words = JOINED.has(row.name) ? oneText(row.name, rawArgs) : rawArgs;
          const want = await readArgs(
            `${SHELTER} ${row.name}`,
            { ...row.flags, ...SHELTER_FLAGS },
            words,
          );
          await carryOut(row, want, units, words);
        },
      }),
    ]),
  );
  await runCommand(defineCommand({ subCommands }), { rawArgs: [word, ...rest] });
}

async function carryOut(
  row: CommandRow,
  want: Args,
  units: Units,
  argv: readonly string[],
): Promise<void> {
  const { name } = row;
  const machine = thisMachine();
  const place = HOMELESS.has(name)
    ? { home: "/", host: "localhost" }
    : await findPlace(machine, textOf(want, "home"));
  const command = await CODE[name]?.();
  if (!command)
    throw new UsageError("usage", `${SHELTER} ${name}`, "there is no such command", [
      "./bin/shelter",
      "--help",
    ]);
  const desk = deskOf(machine, place, want, units);
  const json = want["json"] === true;
  const there = elsewhereOf(row, textOf(want, "host"), place.host);
  if (!WITHOUT_BANNER.has(name)) await sayBanner(desk.probe, json);
  if (there !== undefined) {
    const { runThere } = await import("../cli/elsewhere.ts");
    process.exitCode = await runThere(SHELTER_ID, machine, place, there, [name, ...argv], json);
    return;
  }
  const spoken = await command(desk);
  process.exitCode = spoken.exit;
  if (json) {
    if (spoken.json !== null) print(JSON.stringify(spoken.json, null, 2));
  } else if (spoken.lines.length > 0) print(spoken.lines.join("\n"));
}

/** The paired host whose own binary carries a command out; undefined where it is done here. Throws a UsageError for a command that no other host can be asked for. */
function elsewhereOf(
  { name, host }: CommandRow,
  wanted: string | undefined,
  here: string,
): string | undefined {
  if (wanted === undefined || wanted === here || host === "shown") return undefined;
  if (host === "there") return wanted;
  throw new UsageError("usage", `${SHELTER} ${name} --host ${wanted}`, host.refused, [
    "./bin/shelter",
    name,
    "--help",
  ]);
}

/** Commands that show the alerts themselves, speak to programs, or are programs that stay. */
const WITHOUT_BANNER: ReadonlySet<string> = new Set([
  ...["status", "watch", "peer", "completions", "gateway", "engine", "act"],
]);

/** Commands that read no home: what root runs for the system alone must not even look at one, and completions are the same in each. */
const HOMELESS: ReadonlySet<string> = new Set(["act", "completions"]);

/** Commands whose words are one text. */
const JOINED: ReadonlySet<string> = new Set(["ask", "peer"]);

/** A question need not be quoted: its words are joined. */
function oneText(name: string, argv: readonly string[]): readonly string[] {
  const words: string[] = [];
  const flags: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const one = argv[at] ?? "";
    if (one === "--") {
      words.push(...argv.slice(at + 1));
      break;
    }
    if (!one.startsWith("--")) words.push(one);
    else {
      flags.push(one);
      const row = { ...commandRow(name)?.flags, ...SHELTER_FLAGS }[one.slice(2)];
      if (row?.type === "string" && argv[at + 1] !== undefined) flags.push(argv[++at] ?? "");
    }
  }
  return words.length === 0 ? flags : [...flags, "--", words.join(" ")];
}

/** The command that a mistyped one is nearest to: one that starts the same. */
function meant(word: string): string {
  const near = COMMANDS.find(
    ({ name }) => name.startsWith(word.slice(0, 2)) || word.startsWith(name),
  );
  return near && word.length > 1 ? `; did you mean ${near.name}?` : "";
}
