/** Help and completions of `shelter`, from its table of commands and the units' flags. */
import { flagsOf } from "../cli/flags.ts";
import { UsageError } from "../errors.ts";
import { table } from "../report/text.ts";
import { ROSTER } from "../roster.ts";
import type { AnyUnit, Flag } from "../unit.ts";
import { COMMANDS, type CommandRow, flagsOfCommand, SHELTER_FLAGS } from "./commands.ts";
import {
  completionScript,
  SHELLS,
  type CommandWords,
  type FlagWord,
  type Vocabulary,
} from "./completions.ts";
import { loadUnit, textOf, type Command, type Units } from "./desk.ts";
import { SHELTER, SHELTER_ID } from "./names.ts";

const COMMON: readonly FlagWord[] = [
  { name: "help", summary: "Show what there is", takesValue: false },
  { name: "version", summary: "Which release this is", takesValue: false },
];

/** `shelter completions` */
export const completions: Command = async ({ want, units }) => {
  const word = textOf(want, "shell");
  const shell = SHELLS.find((one) => one === word);
  if (!shell) {
    throw new UsageError(
      "usage",
      `completions ${word ?? ""}`,
      `it takes one of ${SHELLS.join(", ")}`,
      ["./bin/shelter", "completions", "bash"],
    );
  }
  const script = completionScript(shell, await vocabularyOf(units));
  return { exit: 0, json: { schema: 1, shell, script }, lines: [script.trimEnd()] };
};

async function vocabularyOf(units: Units): Promise<Vocabulary> {
  const subcommands = COMMANDS.map((row) => ({
    name: row.name,
    flags: [...flagWords(flagsOfCommand(row)), ...COMMON],
    words: row.words ?? [],
  }));
  const scripts: CommandWords[] = [];
  for (const { id } of ROSTER) {
    if (id === SHELTER_ID) continue;
    const own: Pick<AnyUnit, "flags"> = units[id] ? await loadUnit(units, id) : {};
    scripts.push({ name: id, flags: [...flagWords(flagsOf(own)), ...COMMON], words: [] });
  }
  const commands = COMMANDS.map(({ name, summary }) => ({ name, summary }));
  const named = ROSTER.filter((row) => row.id !== SHELTER_ID).map(({ id, summary }) => ({
    name: id,
    summary,
  }));
  const words = [...commands, ...named];
  const flags = [...flagWords(SHELTER_FLAGS), ...COMMON];
  return { shelter: { name: SHELTER, flags, words, subcommands }, alias: SHELTER_ID, scripts };
}

function flagWords(flags: Readonly<Record<string, Flag>>): readonly FlagWord[] {
  return Object.entries(flags)
    .filter(([, flag]) => flag.type !== "positional")
    .map(([name, flag]) => ({
      name,
      summary: flag.description,
      takesValue: flag.type === "string",
    }));
}

/** What `shelter --help` prints. */
export function shelterHelp(): string {
  return [
    "The unified command of the Mountain Shelter: runs, shows and takes back everything.",
    "",
    `Usage: ${SHELTER} COMMAND [flags]     without a command: status`,
    `       ${SHELTER} SCRIPT [flags]      one script, as ./bin/SCRIPT`,
    "",
    ...table(COMMANDS.map((row) => [`  ${usageOf(row)}`, row.summary])),
    "",
    "Flags of the commands (--host only of those that name it in their own help):",
    ...flagLines(SHELTER_FLAGS),
    "",
    "Scripts:",
    ...table(
      ROSTER.map((row) => [
        `  ${row.id}`,
        row.built ? row.summary : `${row.summary} (not part of this build)`,
      ]),
    ),
    "",
    ...EXIT_CODES,
  ].join("\n");
}

/** What `shelter COMMAND --help` prints. */
export function commandHelp(row: CommandRow): string {
  const flags = flagLines(flagsOfCommand(row));
  return [
    row.summary,
    "",
    `Usage: ${SHELTER} ${usageOf(row)} [flags]`,
    "",
    ...flags,
    "",
    ...EXIT_CODES,
  ].join("\n");
}

function usageOf(row: CommandRow): string {
  const words = Object.entries(row.flags)
    .filter(([, flag]) => flag.type === "positional")
    .map(([name, flag]) =>
      flag.type === "positional" && flag.required ? name.toUpperCase() : `[${name.toUpperCase()}]`,
    );
  return [row.name, ...words].join(" ");
}

function flagLines(flags: Readonly<Record<string, Flag>>): readonly string[] {
  const rows = Object.entries(flags).map(([name, flag]) =>
    flag.type === "positional"
      ? [`  ${name.toUpperCase()}`, flag.description]
      : [
          `  --${name}${flag.type === "string" ? ` ${flag.valueHint ?? "VALUE"}` : ""}`,
          flag.description,
        ],
  );
  return table(rows);
}

const EXIT_CODES = [
  "Exit codes: 0 done or nothing to do, 2 usage, 10 changes pending, 11 blocked, 12 already running,",
  "13 failed and taken back, 14 taken back in part, 15 below baseline, 16 integrity failure, 130 interrupted.",
];
