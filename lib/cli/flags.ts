/** The flags that every script shares, and reading a command line by them. */
import { UsageError } from "../errors.ts";
import { printable } from "../report/text.ts";
import type { AnyUnit, Args, Flag } from "../unit.ts";

/** Flags of every script. `--help` and `--version` are answered before a command line is read. */
export const SHARED_FLAGS: Readonly<Record<string, Flag>> = {
  plan: { type: "boolean", description: "Show what would be done, and change nothing" },
  verify: { type: "boolean", description: "Prove that all is as it should be, and change nothing" },
  undo: { type: "boolean", description: "Take back the last applied run" },
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

/** All flags of a unit, its own first. */
export function flagsOf(unit: Pick<AnyUnit, "flags">): Readonly<Record<string, Flag>> {
  return { ...unit.flags, ...SHARED_FLAGS };
}

/**
 * Reads a command line.
 * @throws UsageError for a flag or word that nobody takes, or a value that is missing or none of the flag's.
 */
export async function readArgs(
  command: string,
  flags: Readonly<Record<string, Flag>>,
  argv: readonly string[],
): Promise<Args> {
  const { parseArgs } = await import("citty");
  const refuse = (what: string, why: string) =>
    new UsageError("usage", what, why, [...`./bin/${command}`.split(" "), "--help"]);
  const positional = Object.entries(flags).filter(([, flag]) => flag.type === "positional");
  let parsed: Record<string, unknown> & { _: string[] };
  try {
    parsed = parseArgs([...argv], flags as Parameters<typeof parseArgs>[1]) as typeof parsed;
  } catch (error) {
    throw refuse(command, error instanceof Error ? error.message : String(error));
  }
  for (const word of flagWords(argv)) {
    const name = word.replace(/^--(no-)?/, "").replace(/=.*$/s, "");
    if (flags[name]?.type === "positional" || flags[name] === undefined) {
      throw refuse(`${command} ${word}`, "there is no such flag");
    }
    const value = parsed[name];
    if (flags[name].type === "string" && (value === "" || typeof value !== "string")) {
      throw refuse(
        `${command} ${word}`,
        `it needs a value: --${name} ${flags[name].type === "string" ? (flags[name].valueHint ?? "VALUE") : ""}`,
      );
    }
    if (flags[name].type !== "string" || typeof value !== "string") continue;
    const why = flags[name].wants?.(value);
    if (why !== undefined) throw refuse(`${command} --${name} ${printable(value)}`, why);
  }
  if (parsed._.length > positional.length) {
    throw refuse(`${command} ${parsed._.join(" ")}`, "it takes no such word");
  }
  const args: Record<string, string | boolean> = {};
  for (const name of Object.keys(flags)) {
    const value = parsed[name];
    if (typeof value === "string" || typeof value === "boolean") args[name] = value;
  }
  const modes = ["plan", "verify", "undo"].filter((mode) => args[mode] === true);
  if (modes.length > 1) {
    throw refuse(
      `${command} ${modes.map((mode) => `--${mode}`).join(" ")}`,
      "only one of these at a time",
    );
  }
  return args;
}

/** Whether one JSON document is wanted, also of a command line that can't be read: an error must come in the form that its reader waits for. */
export function wantsJson(argv: readonly string[]): boolean {
  const said = flagWords(argv).findLast((word) => /^--(no-)?json(=|$)/.test(word));
  return said !== undefined && !said.startsWith("--no-") && said !== "--json=false";
}

/** The words of a command line that are flags; what stands after "--" is not. */
function flagWords(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  return (end === -1 ? argv : argv.slice(0, end)).filter((word) => /^-./.test(word));
}
