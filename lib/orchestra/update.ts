/** `shelter update` and `shelter migrate`: the programs built anew from the clone, and older files brought to their form. */
import { join } from "node:path";
import { onSignals } from "../cli/signals.ts";
import { layout } from "../cli.ts";
import { EXIT, ShelterError } from "../errors.ts";
import { rebuiltHistory } from "../keep/history.ts";
import { inHome } from "../keep/home.ts";
import { lastEnd, readStatus, writeStatus } from "../keep/status.ts";
import { createAct } from "../machine/act.ts";
import { COMPILED, RELEASE } from "../release.ts";
import { createVoice } from "../report/voice.ts";
import { printable } from "../report/text.ts";
import { ROSTER } from "../roster.ts";
import { asJson, type Command, type Desk, type Spoken } from "./desk.ts";
import { goBack } from "./releases.ts";

/** A build never takes this long; milliseconds. */
const LIMIT = 10 * 60_000;

/** Installs the locked dependencies and builds, with the Bun inside this very binary, then lets the new release migrate. */
export const update: Command = async (desk) => {
  const { machine, probe, place, want } = desk;
  const { home } = place;
  if (want["back"] === true) return back(desk);
  if (!probe.stat(join(home, "scripts", "build.ts")) || !probe.stat(join(home, "bun.lock"))) {
    throw new ShelterError(
      "no-clone",
      `updating ${home}`,
      "it is not a clone of the sources, so there is nothing to build from",
      ["git", "clone"],
    );
  }
  const say = await createVoice({
    json: want["json"] === true,
    verbose: want["verbose"] === true,
    env: process.env,
  });
  const signal = onSignals(() => undefined);
  const act = createAct(machine, probe);
  // a compiled binary behaves as Bun itself with this set; run from source we are Bun
  const env: Record<string, string> = COMPILED ? { BUN_BE_BUN: "1" } : {};
  const step = async (what: string, argv: readonly string[], extra: Record<string, string>) => {
    say.line(what);
    const ran = await act.run(argv, {
      cwd: home,
      env: extra,
      signal,
      timeout: LIMIT,
      onLine: (line) => say.detail({ said: line }),
    });
    signal.throwIfAborted();
    if (ran.code === 0) return ran.stdout;
    const last = `${ran.stdout}\n${ran.stderr}`.trim().split("\n").slice(-5).join("; ");
    throw new ShelterError("update-failed", what, `code ${ran.code}: ${printable(last)}`, [
      "./bin/shelter",
      "update",
      "--verbose",
    ]);
  };
  await step(
    "Installing the locked dependencies",
    [process.execPath, "install", "--frozen-lockfile"],
    env,
  );
  const built = await step(
    "Building the programs",
    [process.execPath, join(home, "scripts", "build.ts"), "--json"],
    env,
  );
  const moved = await step(
    "Bringing older files to this release's form",
    [join(home, "bin", "shelter"), "migrate", "--json", "--home", home],
    {},
  );
  const build = parsed(built);
  const migrated = parsed(moved);
  const outcome = isNew(build, migrated) ? "changed" : "converged";
  const document = { schema: 1, host: place.host, outcome, from: RELEASE, build, migrated };
  const { paint } = layout(false);
  const last = inHome.runtime(home, "bin", "last");
  return {
    exit: EXIT[outcome],
    json: asJson(document),
    lines: [
      ...commitLine(build),
      ...(outcome === "converged" ? ["Nothing to do: the programs are of these very sources"] : []),
      ...(probe.stat(last)
        ? [
            paint(
              "taupe",
              `  The release before is kept in ${printable(last)}; ./bin/shelter update --back goes back to it`,
            ),
          ]
        : []),
    ],
  };
};

async function back({ machine, probe, place }: Desk): Promise<Spoken> {
  const { release, replaced } = await goBack({ probe, act: createAct(machine, probe) });
  return {
    exit: 0,
    json: asJson({ schema: 1, host: place.host, outcome: "changed", release, replaced }),
    lines: [
      `The programs are those of release ${release} again; what was live is now the last release`,
    ],
  };
}

/** Status files that this release can't read are made anew from the journal, and history_main.log where it is missing. The old ones are set aside. */
export const migrate: Command = async ({ machine, probe, place }) => {
  const act = createAct(machine, probe);
  const made: string[] = [];
  for (const { flag } of ROSTER) {
    const status = readStatus(probe, flag);
    if (status !== undefined && !("damaged" in status)) continue;
    const end = lastEnd(probe, flag);
    if (!end) continue;
    const path = inHome.status(place.home, place.host, flag);
    if (status !== undefined) {
      act.makeFolder(inHome.quarantine(place.home));
      act.rename(path, join(inHome.quarantine(place.home), `${flag}.json.${probe.now()}`));
    }
    writeStatus(probe, act, end);
    made.push(path);
  }
  if (!probe.stat(inHome.history(place.home))) {
    const text = rebuiltHistory(probe);
    if (text !== "") {
      act.write(inHome.history(place.home), text);
      made.push(inHome.history(place.home));
    }
  }
  const outcome = made.length > 0 ? "changed" : "converged";
  return {
    exit: EXIT[outcome],
    json: asJson({ schema: 1, host: place.host, outcome, made }),
    lines:
      made.length > 0
        ? made.map((path) => `made anew from the journal: ${printable(path)}`)
        : ["Nothing to do: every file is of this release's form"],
  };
};

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** Whether anything came of it: names that lead to another program now, or files that were brought to another form. */
function isNew(build: unknown, migrated: unknown): boolean {
  const { made } = fields(build);
  const replaced = Array.isArray(made) && made.some((one) => fields(one)["replaced"] !== 0);
  return replaced || fields(migrated)["outcome"] === "changed";
}

function commitLine(build: unknown): readonly string[] {
  const { commit, dirty } = fields(build);
  const from = typeof commit === "string" ? commit.slice(0, 12) : "no commit";
  return [`Built from ${from}${dirty === true ? " with changes that are in no commit" : ""}`];
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}
