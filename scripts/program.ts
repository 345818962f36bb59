#!/usr/bin/env bun
/** Entry of the one compiled program: answers to the name it was called by. `--version` and `--help` end here, before anything heavy is loaded. */
import { addressed, calledAs } from "../lib/orchestra/names.ts";
import { versionText } from "../lib/release.ts";

/** Help of each name, rendered by scripts/build.ts; does not exist when run from source. */
declare const SHELTER_HELP: Readonly<Record<string, string>> | undefined;

const { name, argv } = addressed(calledAs(process.argv0, process.execPath), process.argv.slice(2));
const only = (...flags: readonly string[]) =>
  argv.length > 0 && argv.every((word) => flags.includes(word));
const help = typeof SHELTER_HELP === "undefined" ? undefined : SHELTER_HELP[name];

// console.log, because loading process.stdout alone takes as long as the whole of the rest (measured: 3 ms)
if (argv.includes("--version") && only("--version", "--json")) {
  console.log(versionText(name, argv.includes("--json")));
} else if (help !== undefined && only("--help", "-h")) {
  console.log(help);
} else {
  const { answer } = await import("./answer.ts");
  await answer(name, argv);
}
