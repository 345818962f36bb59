/** `shelter update` and `shelter migrate`: the programs built anew from the clone, and older files brought to their form. */
import { join } from "node:path";
import { onSignals } from "../cli/signals.ts";
import { layout } from "../cli.ts";
import { journalled } from "../engine/journalled.ts";
import { EXIT, ShelterError } from "../errors.ts";
import { rebuiltHistory } from "../keep/history.ts";
import { inHome } from "../keep/home.ts";
import { lastEnd, readStatus, writeStatus } from "../keep/status.ts";
import { type Act, createAct } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { COMPILED, RELEASE } from "../release.ts";
import { createVoice } from "../report/voice.ts";
import { printable } from "../report/text.ts";
import { ROSTER } from "../roster.ts";
import type { Args, CallContext } from "../unit.ts";
import { asJson, type Command, type Desk, type Spoken } from "./desk.ts";
import { goBack } from "./releases.ts";

const UPDATE = {
  script: "08_shelter_update",
  flag: "updated",
  what: "build the programs anew",
} as const;
const BACK = { ...UPDATE, what: "go back to the last release" } as const;
const MIGRATE = {
  script: "08_shelter_migrate",
  flag: "migrated",
  what: "bring older files to this release's form",
} as const;

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
      "it is not a clone of the sources, so there is nothing to build from: run update in the clone; its programs come here by the mirror, or by rsync -aH bin/",
      ["./bin/05_rsync_mirror", "--plan"],
    );
  }
  const act = createAct(machine, probe);
  const context = await hands(want, probe, act);
  const { say, signal } = context;
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
  const done = await journalled(context, UPDATE, async () => {
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
    return { outcome, build, migrated, facts: asJson({ from: RELEASE, build, migrated }) } as const;
  });
  const { outcome, build, migrated } = done;
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

async function back({ machine, probe, place, want }: Desk): Promise<Spoken> {
  const act = createAct(machine, probe);
  const { release, replaced } = await journalled(await hands(want, probe, act), BACK, async () => {
    const gone = await goBack({ probe, act });
    return { ...gone, outcome: "changed", facts: asJson({ from: RELEASE, ...gone }) } as const;
  });
  return {
    exit: 0,
    json: asJson({ schema: 1, host: place.host, outcome: "changed", release, replaced }),
    lines: [
      `The programs are those of release ${release} again; what was live is now the last release`,
    ],
  };
}

/** What an act of its own is given to record itself. */
async function hands(want: Args, probe: Probe, act: Act): Promise<CallContext> {
  const say = await createVoice({
    json: want["json"] === true,
    verbose: want["verbose"] === true,
    env: process.env,
  });
  return { probe, act, say, signal: onSignals(() => undefined) };
}

/** Status files that this release can't read are made anew from the journal, and history_main.log where it is missing. The old ones are set aside. */
export const migrate: Command = async ({ machine, probe, place, want }) => {
  const act = createAct(machine, probe);
  const old = ROSTER.flatMap(({ flag }) => {
    const status = readStatus(probe, flag);
    const end = status === undefined || "damaged" in status ? lastEnd(probe, flag) : undefined;
    return end ? [{ flag, there: status !== undefined, end }] : [];
  });
  const history = inHome.history(place.home);
  const lines = probe.stat(history) ? "" : rebuiltHistory(probe);
  const made = [
    ...old.map(({ flag }) => inHome.status(place.home, place.host, flag)),
    ...(lines === "" ? [] : [history]),
  ];
  if (made.length > 0) {
    await journalled(await hands(want, probe, act), MIGRATE, async () => {
      for (const { flag, there, end } of old) {
        const path = inHome.status(place.home, place.host, flag);
        if (there) {
          act.makeFolder(inHome.quarantine(place.home));
          act.rename(path, join(inHome.quarantine(place.home), `${flag}.json.${probe.now()}`));
        }
        writeStatus(probe, act, end);
      }
      if (lines !== "") act.write(history, lines);
      return Promise.resolve({ outcome: "changed", facts: asJson({ made }) } as const);
    });
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
