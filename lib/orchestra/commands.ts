/** The subcommands of `shelter`, as data: for reading a command line, for the help and for completions. */
import { ROSTER } from "../roster.ts";
import type { Flag } from "../unit.ts";
import type { Word } from "./completions.ts";

/** One subcommand. */
export interface CommandRow {
  readonly name: string;
  readonly summary: string;
  /** Its own flags and words, beside the shared ones. */
  readonly flags: Readonly<Record<string, Flag>>;
  /** What `--host NAME` makes of it. */
  readonly host: Elsewhere;
  /** Words that can stand after it, for completions. */
  readonly words?: readonly Word[];
}

/**
 * "there": that host's own binary carries it out. "shown": this host says what it knows of that one. Otherwise it is refused, before anything is done,
 * and this says why.
 */
export type Elsewhere = "there" | "shown" | { readonly refused: string };

const STAYS: Elsewhere = { refused: "a program that stays is started on its own host" };
const NOT_FOR_PEOPLE: Elsewhere = { refused: "it is not for people" };
const OWN_PROGRAMS: Elsewhere = {
  refused: "which programs a host runs is for its own operator to say, there",
};

const SCRIPTS: readonly Word[] = ROSTER.filter((row) => row.built).map(({ id, summary }) => ({
  name: id,
  summary,
}));
const script: Flag = {
  type: "positional",
  description: "One script, e.g. 03_build_llama_cpp",
  required: false,
};
const model: Flag = {
  type: "string",
  description: "The installed model to use",
  valueHint: "NAME",
};

/** The word that starts a program which stays; it says nothing that the command does not say already. */
const run: Flag = {
  type: "positional",
  description: '"run", as the units say it',
  required: false,
};
const RUN_WORD: Word = { name: "run", summary: "until it is told to stop" };

/** What every subcommand takes. */
export const SHELTER_FLAGS: Readonly<Record<string, Flag>> = {
  json: { type: "boolean", description: "One JSON document on stdout; progress goes to stderr" },
  yes: { type: "boolean", description: "Do what reaches beyond the home without asking" },
  host: {
    type: "string",
    description: "Run on this paired host, by its own programs",
    valueHint: "NAME",
  },
  home: { type: "string", description: "The home to work in", valueHint: "DIR" },
  verbose: { type: "boolean", description: "Show every finding and detail" },
};

export const COMMANDS: readonly CommandRow[] = [
  {
    name: "up",
    summary: "From a bare machine to a model's answer: runs what is needed, in order",
    host: "there",
    flags: {
      question: {
        type: "string",
        description: "What to ask the model at the end",
        valueHint: "TEXT",
      },
      again: {
        type: "boolean",
        description: "Also run a script that was halted because it kept failing",
      },
    },
  },
  {
    name: "status",
    summary: "Both hosts at a glance: scripts, services, alerts",
    host: "shown",
    flags: {},
  },
  {
    name: "plan",
    summary: "What up would do; changes nothing (exit 10 when something is pending)",
    host: "there",
    flags: {},
  },
  {
    name: "verify",
    summary: "Prove that all of up still holds; changes nothing",
    host: "there",
    flags: {},
  },
  { name: "next", summary: "The one command to run next", host: "there", flags: {} },
  {
    name: "undo",
    summary: "Take back the last applied run",
    host: "there",
    flags: {
      script,
      all: {
        type: "boolean",
        description:
          "Take back every run: the host as it was found, but for the record of what was done",
      },
      forget: { type: "boolean", description: "With --all: remove that record too" },
    },
    words: SCRIPTS,
  },
  {
    name: "history",
    summary: "What ran, how often it failed or slowed down, and what that suggests",
    host: "there",
    flags: { script },
    words: SCRIPTS,
  },
  {
    name: "logs",
    summary: "The detail of the last run",
    host: "there",
    flags: {
      script,
      lines: { type: "string", description: "Show at most this many lines (200)", valueHint: "N" },
    },
    words: SCRIPTS,
  },
  {
    name: "ask",
    summary: "Ask the model, with the served profile",
    host: { refused: "the gateway itself chooses the host that answers" },
    flags: {
      question: {
        type: "positional",
        description: "The question; read from standard input when left out",
        required: false,
      },
      model,
      "max-tokens": {
        type: "string",
        description: "Longest answer, in tokens (512)",
        valueHint: "N",
      },
    },
  },
  {
    name: "serve",
    summary: "Serve the model on loopback, OpenAI-compatible, until Ctrl-C",
    host: STAYS,
    flags: {
      model,
      port: { type: "string", description: "The port (a free one)", valueHint: "N" },
    },
  },
  {
    name: "gateway",
    summary: "One address in front of this host's engine and the other's, until Ctrl-C",
    host: STAYS,
    flags: { run },
    words: [RUN_WORD],
  },
  {
    name: "engine",
    summary: "All installed models behind one port, for the gateway, until Ctrl-C",
    host: STAYS,
    flags: {
      run,
      build: {
        type: "string",
        description: "The installed build to run (the home's live one)",
        valueHint: "ID",
      },
      before: {
        type: "string",
        description: "The one to run where that was given up",
        valueHint: "ID",
      },
    },
    words: [RUN_WORD],
  },
  {
    name: "watch",
    summary: "All paired hosts live in the terminal: services, health, alerts",
    host: {
      refused:
        "it shows all paired hosts, and what it allows is for each host's own operator to say",
    },
    flags: {
      again: {
        type: "boolean",
        description: "Have the watcher try again what it gave up, and end",
      },
      "allow-command": {
        type: "boolean",
        description: "Allow the command that shared.cfg names for alerts on this host, and end",
      },
    },
  },
  {
    name: "act",
    summary: "One of root's fixed acts for the services; not for people",
    host: NOT_FOR_PEOPLE,
    flags: {
      verb: {
        type: "positional",
        description: "The act; one line of standard input when left out",
        required: false,
      },
    },
  },
  {
    name: "pair",
    summary: "Pair this host with the other: keys, pinned host keys, certificates, proof both ways",
    host: { refused: "the other host is said as a word: pair NAME" },
    flags: {
      peer: { type: "positional", description: "The other host's name", required: true },
      address: { type: "string", description: "Where ssh reaches it", valueHint: "ADDRESS" },
      port: { type: "string", description: "The port of its ssh server (22)", valueHint: "N" },
      user: { type: "string", description: "Who owns the home there", valueHint: "NAME" },
      there: {
        type: "string",
        description: "The home there (~/.mountain_shelter)",
        valueHint: "DIR",
      },
      accept: {
        type: "string",
        description: "The fingerprint of its host key, where there is no terminal to ask on",
        valueHint: "SHA256:…",
      },
      anew: {
        type: "boolean",
        description: "Exchange everything again, e.g. after a new installation",
      },
      renew: { type: "boolean", description: "Make this host's certificate anew and exchange it" },
      undo: { type: "boolean", description: "Take the pairing back, on both hosts" },
      forget: {
        type: "boolean",
        description: "With --undo: this side alone where the other host can't be told",
      },
    },
  },
  {
    name: "peer",
    summary: "What the other host's keys may start; not for people",
    host: NOT_FOR_PEOPLE,
    flags: { request: { type: "positional", description: "Role and host", required: true } },
  },
  {
    name: "update",
    summary:
      "After a git pull: build the programs anew, bring older files to their form, keep the last release",
    host: OWN_PROGRAMS,
    flags: {
      back: { type: "boolean", description: "Go back to the last release instead" },
    },
  },
  {
    name: "migrate",
    summary: "Bring status files and history of older releases to this release's form",
    host: OWN_PROGRAMS,
    flags: {},
  },
  {
    name: "completions",
    summary: "Completion script of a shell",
    host: { refused: "completions are for the shell here" },
    flags: { shell: { type: "positional", description: "bash, zsh or fish", required: true } },
    words: ["bash", "zsh", "fish"].map((name) => ({ name, summary: `for ${name}` })),
  },
];

/** All flags of a subcommand, its own first; `--host` only where it can do something. */
export function flagsOfCommand({ flags, host }: CommandRow): Readonly<Record<string, Flag>> {
  const { host: elsewhere, ...others } = SHELTER_FLAGS;
  if (typeof host === "object" || !elsewhere) return { ...flags, ...others };
  return { ...flags, host: elsewhere, ...others };
}

/** The row of a subcommand. */
export function commandRow(name: string): CommandRow | undefined {
  return COMMANDS.find((row) => row.name === name);
}
