/** A paired host in `status`, for a person: a line or two while all is well, more when it is not. */
import { layout } from "../cli.ts";
import type { Colour } from "../report/palette.ts";
import { commandLine, duration, printable } from "../report/text.ts";
import type { Standing } from "./board.ts";
import type { PeerView } from "./peers_view.ts";

/** Lines of one host. `now` in milliseconds since 1970. */
export function peerLines(view: PeerView, now: number): readonly string[] {
  const row = (colour: Colour, text: string) => paint(colour, `    ${printable(text)}`);
  const open = view.scripts.filter((one) => one.standing === "failed" || one.standing === "stale");
  return [
    heading(view, now),
    ...(view.why === undefined ? [] : [row("copper", view.why)]),
    ...(view.clock_off_ms === undefined
      ? []
      : [row("copper", clock(view.clock_off_ms)), command(["timedatectl", "status"])]),
    ...(view.troubles ?? []).flatMap(({ what, fix }) => [row("copper", what), command(fix)]),
    ...(view.scripts.length > 0 ? [row("steel", boardLine(view))] : []),
    ...open.map((one) =>
      row("copper", `${one.script}: ${one.standing}${one.why === undefined ? "" : `: ${one.why}`}`),
    ),
    ...view.running.map((script) => row("steel", `running now: ${script}`)),
    ...view.alerts.map((one) =>
      row(one.level === "fail" ? "rust" : "copper", `alert: ${one.what}`),
    ),
    ...view.stale.map((text) => row("taupe", `stale: ${text}`)),
    ...view.missing.map((text) => row("copper", `missing: ${text}`)),
    ...view.works.map((text) => row("sage", `works: ${text}`)),
    ...(view.fix ? [command(view.fix)] : []),
  ];
}

function command(fix: readonly string[]): string {
  return paint("gold", `    ${printable(commandLine(fix))}`);
}

function heading({ name, state, since, last_seen: last, services }: PeerView, now: number): string {
  const ago = (at: string) => {
    const age = now - Date.parse(at);
    return `${at.slice(0, 19)}Z, ${age < 60_000 ? "just now" : `${duration(age)} ago`}`;
  };
  if (state === "up") {
    const told = services ? `: engine ${services.engine}, gateway ${services.gateway}` : "";
    const long = since === undefined ? "" : `, up since ${since.slice(0, 19)}Z`;
    return paint("sage", `  ✓ ${printable(name)} answers${long}${told}`);
  }
  const seen = last === undefined ? "it never answered" : `it last answered at ${ago(last)}`;
  const down = since === undefined ? "" : ` since ${ago(since)}`;
  const word = state === "down" ? `is down${down}` : "gives no answer that can be used";
  return paint("rust", `  ✗ ${printable(name)} ${word}; ${seen}`);
}

const ORDER: readonly Standing[] = ["done", "open", "stale", "failed"];

function boardLine({ scripts, source, as_of: at }: PeerView): string {
  const counts = ORDER.flatMap((standing) => {
    const count = scripts.filter((one) => one.standing === standing).length;
    return count === 0 ? [] : [`${count} ${standing}`];
  });
  const from = source === "live" ? "" : `, by its ${source} of ${at?.slice(0, 19) ?? ""}Z`;
  return `scripts: ${counts.join(", ")}${from}`;
}

function clock(off: number): string {
  return `its clock is ${duration(Math.abs(off))} ${off > 0 ? "ahead of" : "behind"} this host's`;
}

function paint(colour: Colour, text: string): string {
  return layout(false).paint(colour, text);
}
