/** `shelter status` and `shelter next`: where everything stands, read from status files and journal alone. */
import { layout } from "../cli.ts";
import { EXIT, ShelterError } from "../errors.ts";
import { configTrouble, retentionOf } from "../hosts/config.ts";
import { inHome } from "../keep/home.ts";
import { damageLine, journalDamage } from "../keep/journal_damage.ts";
import { openRuns, pastRuns, readJournal } from "../keep/journal.ts";
import { readStatus } from "../keep/status.ts";
import { createAct } from "../machine/act.ts";
import { RELEASE } from "../release.ts";
import { errorLines, unaskedLines } from "../report/human.ts";
import type { Colour } from "../report/palette.ts";
import { cut, commandLine, duration, printable } from "../report/text.ts";
import { boardOf, nextOf, type BoardRow, type Standing } from "./board.ts";
import { asJson, textOf, type Command, type Desk, type Spoken } from "./desk.ts";
import { peerLines } from "./peers_lines.ts";
import { type PeerView, peerView } from "./peers_view.ts";
import { kindIn } from "../services/kind.ts";
import { readWatch, withoutMemory } from "../watch/state.ts";
import { runningNow } from "./running.ts";
import { watchLines } from "./watch_lines.ts";
import { ROSTER } from "../roster.ts";
import { suggestionsOf } from "./trends.ts";
import type { Failure, ScriptId } from "../unit.ts";

const MARKS: Readonly<Record<Standing, readonly [mark: string, colour: Colour, word: string]>> = {
  done: ["✓", "sage", "done"],
  open: ["○", "steel", "open"],
  elsewhere: ["·", "slate", "not for this host"],
  failed: ["✗", "rust", "failed"],
  stale: ["~", "copper", "stale"],
  absent: ["·", "slate", "not part of this build"],
};

/** The board of a host. */
export async function boardFrom(
  { probe }: Pick<Desk, "probe">,
  host: string,
): Promise<readonly BoardRow[]> {
  const kind = await kindIn(probe, host);
  const statusOf = (flag: string) => readStatus(probe, flag, host);
  const board = boardOf(statusOf, readJournal(probe, host), probe.now(), kind);
  const trouble = host === probe.host ? await configTrouble(probe) : undefined;
  return trouble
    ? board.map((row) => (row.script === LOOKS_AFTER ? withTrouble(row, trouble) : row))
    : board;
}

/** Whose work it is to look after shared.cfg, whatever its last run found. */
const LOOKS_AFTER: ScriptId = "00_check_structure";

function withTrouble(row: BoardRow, { fix }: Failure): BoardRow {
  const told = { ...row, standing: "failed", why: "shared.cfg can't be used" } as const;
  return fix ? { ...told, fix } : told;
}

/** `shelter status` */
export const status: Command = async (desk) => {
  const { probe, place, want } = desk;
  const host = textOf(want, "host") ?? place.host;
  const peers = await peersOf(desk);
  const other = peers.find((one) => one.name === host);
  if (other && host !== place.host) return ofPeer(desk, other);
  if (host !== place.host && !probe.stat(`${place.home}/status/${host}`)) {
    throw new ShelterError(
      "unknown-host",
      `the status of ${host}`,
      `nothing is known of it here; this is ${place.host}`,
      ["./bin/shelter", "status"],
    );
  }
  const board = await boardFrom(desk, host);
  const running = host === place.host ? runningNow(probe, createAct(desk.machine, probe)) : [];
  const killed = openRuns(readJournal(probe, host)).filter(
    (one) => !running.some((now) => now.script === one.script),
  );
  const watch = host === place.host ? readWatch(probe) : undefined;
  const damage = host === place.host ? journalDamage(probe).map(damageLine) : [];
  const unasked = suggestionsOf(pastRuns(probe), probe.now());
  const kept = await retentionOf(desk.probe);
  const trouble = host === place.host ? await configTrouble(probe) : undefined;
  const next = nextOf(
    board,
    running.map((one) => one.script),
  );
  return {
    exit: 0,
    json: asJson({
      schema: 1,
      host,
      home: place.home,
      release: RELEASE,
      outcome: "converged",
      scripts: board,
      running,
      journal_damage: damage,
      cut_off: killed.map(({ run, script }) => ({ run, script })),
      retention: kept,
      next: next?.fix ?? null,
      config: trouble ?? null,
      watch: watch && !("damaged" in watch) ? withoutMemory(watch) : null,
      peers,
      unasked,
    }),
    lines: [
      ...boardLines(board, probe.now()),
      "",
      ...(trouble ? errorLines(withoutFix(trouble), layout(false)) : []),
      ...watchLines(watch, probe.now()),
      ...running.map((one) =>
        paint("steel", `  running now: ${one.script}, process ${one.pid}, since ${one.since}`),
      ),
      ...damage.map((line) =>
        paint("rust", `  ${printable(line)}; ./bin/00_check_structure --plan tells more`),
      ),
      ...killed.map((one) =>
        paint(
          "copper",
          `  cut off: ${one.script} (${one.run}); its next run${damage.length > 0 ? " looks whether it ended, and if not," : ""} takes that back first`,
        ),
      ),
      paint(
        "taupe",
        `  ${printable(host)} at ${printable(place.home)}; kept: ${kept.builds} builds, ${kept.releases} releases, ${kept.snapshots} snapshots`,
      ),
      next
        ? `${paint("sage", "  Next:")} ${paint("gold", commandLine(next.fix ?? []))}`
        : paint("sage", "  Nothing to do next"),
      "",
      ...peers.flatMap((one) => [...peerLines(one, probe.now()), ""]),
      ...unaskedLines(unasked, layout(want["verbose"] === true)),
    ],
  };
};

/** The paired hosts, asked all at once. What asks them is loaded only where there are some. */
async function peersOf(desk: Desk): Promise<readonly PeerView[]> {
  if (desk.probe.list(inHome.trust(desk.place.home)).length === 0) return [];
  const { aloneHere, knownPeers } = await import("./peers.ts");
  const [known, alone] = await Promise.all([knownPeers(desk), aloneHere(desk.probe)]);
  return known.map((one) => peerView(one, alone, desk.probe.now()));
}

/** `shelter status --host PEER`: its whole board, live or as it was last known. */
function ofPeer({ probe, place }: Desk, peer: PeerView): Spoken {
  const rows = peer.scripts.map((told): BoardRow => ({
    summary: ROSTER.find((row) => row.id === told.script)?.summary ?? "",
    ...told,
  }));
  return {
    exit: 0,
    json: asJson({ schema: 1, host: place.host, outcome: "converged", peer }),
    lines: [...boardLines(rows, probe.now()), "", ...peerLines(peer, probe.now())],
  };
}

/** `shelter next` */
export const next: Command = async (desk) => {
  const row = nextOf(await boardFrom(desk, desk.place.host));
  const trouble = await configTrouble(desk.probe);
  return {
    exit: row ? EXIT.planned : 0,
    json: asJson({
      schema: 1,
      host: desk.place.host,
      outcome: row ? "planned" : "converged",
      next: row ?? null,
      config: trouble ?? null,
    }),
    lines: row
      ? [
          ...(trouble ? errorLines(withoutFix(trouble), layout(false)) : []),
          `${row.script} is ${row.standing}${row.why === undefined ? "" : `: ${printable(row.why)}`}`,
          `  ${paint("gold", commandLine(row.fix ?? []))}`,
        ]
      : ["Nothing to do: every script of this build stands"],
  };
};

/** The command comes once, as what is next. */
function withoutFix({ id, what, why }: Failure): Failure {
  return { id, what, why };
}

/** The table of scripts. */
export function boardLines(board: readonly BoardRow[], now: number): readonly string[] {
  const names = Math.max(0, ...board.map((row) => row.script.length));
  // a pipe has no width: nothing is cut there
  const room = process.stdout.isTTY ? layout(false).columns : Number.POSITIVE_INFINITY;
  return board.map((row) => {
    const [mark, colour, word] = MARKS[row.standing];
    const when = row.at === undefined ? "" : `, ${age(now - Date.parse(row.at))}`;
    const why = row.why === undefined ? "" : `: ${printable(row.why)}`;
    const told = row.standing === "open" ? `${word}${why}: ${row.summary}` : `${word}${when}${why}`;
    const line = `  ${paint(colour, mark)} ${paint(isNothingHere(row.standing) ? "slate" : "steel", row.script.padEnd(names))}  `;
    return line + paint(colour, cut(told, room - names - 6));
  });
}

/** Rows that this host has nothing to do with. */
function isNothingHere(standing: Standing): boolean {
  return standing === "absent" || standing === "elsewhere";
}

/** How long ago, in words; a clock that went back makes it "in the future". */
function age(ms: number): string {
  if (ms < -60_000) return "in the future";
  return ms < 60_000 ? "just now" : `${duration(ms)} ago`;
}

function paint(colour: Colour, text: string): string {
  return layout(false).paint(colour, text);
}
