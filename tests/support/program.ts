/** Running the shelter's names end to end: compiled, or from source, in a home of the test's own and with nothing inherited. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const REPOSITORY = resolve(import.meta.dir, "../..");
const BIN = process.env["SHELTER_TEST_BIN"] ?? join(REPOSITORY, "bin");

/** A way to run a name. */
export interface Way {
  readonly way: "compiled" | "source";
  /** The argument list that starts `name`. */
  readonly command: (name: string) => readonly string[];
}

export const COMPILED: Way = { way: "compiled", command: (name) => [join(BIN, name)] };
export const SOURCE: Way = {
  way: "source",
  command: (name) => [
    process.execPath,
    join(REPOSITORY, "scripts", `${name === "shelter" ? "08_shelter_cli" : name}.ts`),
  ],
};
/** Both ways, for suites that hold for each. */
export const WAYS: readonly Way[] = [COMPILED, SOURCE];

/** What a run gave. `code` is 128 + n after signal n. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run. */
export interface Options {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Put before the command, e.g. ["nsenter", …]. */
  readonly through?: readonly string[];
}

/** A home of the test's own, in a folder that `dispose` removes. */
export interface TestHome {
  readonly folder: string;
  readonly home: string;
  dispose(): void;
}

/** A fresh place for a home; the home itself is not made. `name` may be as wild as the test wants. */
export function freshHome(name = "home"): TestHome {
  const folder = mkdtempSync(join(process.env["SHELTER_TEST_RUN"] ?? tmpdir(), "shelter-home-"));
  return {
    folder,
    home: join(folder, name),
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Starts a name in `home`; the caller waits for it. */
export function start(
  way: Way,
  name: string,
  args: readonly string[],
  { home, folder }: Pick<TestHome, "home" | "folder">,
  options: Options = {},
) {
  return Bun.spawn([...(options.through ?? []), ...way.command(name), "--home", home, ...args], {
    cwd: options.cwd ?? folder,
    env: plainEnvironment(folder, options.env),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Runs a name in `home` to its end. */
export async function runName(
  way: Way,
  name: string,
  args: readonly string[],
  home: Pick<TestHome, "home" | "folder">,
  options: Options = {},
): Promise<Ended> {
  const child = start(way, name, args, home, options);
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

/** The environment of a login that has set nothing of its own. */
export function plainEnvironment(
  folder: string,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    HOME: folder,
    USER: "op",
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
    ...more,
  };
}

/** A report as `--json` prints it; only what tests look at. */
export interface Report {
  readonly schema: number;
  readonly script: string;
  readonly host: string;
  readonly outcome: string;
  readonly run: string;
  readonly facts: unknown;
  readonly findings: readonly {
    readonly id: string;
    readonly level: string;
    readonly what: string;
    readonly fix?: readonly string[];
  }[];
  readonly steps: readonly { readonly do: string; readonly text: string; readonly done: boolean }[];
  readonly error?: {
    readonly id: string;
    readonly what: string;
    readonly why: string;
    readonly fix?: readonly string[];
  };
  readonly left?: readonly string[];
}

/** The one JSON document on stdout. Anything else there: an Error with all that was said. */
export function documentOf({ stdout, stderr, code }: Ended): Report {
  try {
    return JSON.parse(stdout) as Report;
  } catch (error) {
    throw new Error(`no document (exit ${code}): ${stdout}\n${stderr}`, { cause: error });
  }
}

/** A line of the journal, read by the test's own eyes. */
export interface Line {
  readonly index: number;
  readonly kind: string;
  readonly run: string;
  readonly script: string;
  readonly outcome?: string;
  readonly at: string;
}

/** All whole lines of every host's journal in `home`, and how many torn ones there are. */
export function journalOf(home: string): {
  readonly lines: readonly Line[];
  readonly torn: number;
} {
  const top = join(home, "logs", "journal");
  let torn = 0;
  const lines: Line[] = [];
  for (const host of existsSync(top) ? readdirSync(top).sort() : []) {
    for (const file of readdirSync(join(top, host)).sort()) {
      for (const text of readFileSync(join(top, host, file), "utf8").split("\n")) {
        if (text === "") continue;
        try {
          lines.push(JSON.parse(text) as Line);
        } catch {
          torn += 1;
        }
      }
    }
  }
  return { lines, torn };
}

/** What is wrong with a journal: gaps in its index, a run that never ended, an end without a beginning. Empty when all is well. */
export function faultsOf(lines: readonly Line[]): readonly string[] {
  const faults: string[] = [];
  for (const [place, line] of lines.entries()) {
    if (line.index !== place) faults.push(`line ${place} has index ${line.index}`);
  }
  const count = (kind: string, run: string) =>
    lines.filter((line) => line.kind === kind && line.run === run).length;
  for (const run of new Set(lines.map((line) => line.run))) {
    if (count("begin", run) !== 1) faults.push(`${run} began ${count("begin", run)} times`);
    if (count("end", run) !== 1) faults.push(`${run} ended ${count("end", run)} times`);
  }
  return faults;
}
