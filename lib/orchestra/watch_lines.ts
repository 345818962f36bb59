/** What this host's watcher knows, in `status`. Pure but for the colours of the terminal. */
import { layout } from "../cli.ts";
import { commandLine, duration, printable } from "../report/text.ts";
import { isStale, type Supervised, type WatchState } from "../watch/state.ts";

/** Lines for a person; none where there is no watcher. `now` in milliseconds since 1970. */
export function watchLines(
  state: WatchState | { readonly damaged: string } | undefined,
  now: number,
): readonly string[] {
  const { paint } = layout(false);
  if (!state) return [];
  if ("damaged" in state) return [paint("copper", `  the watcher's state: ${state.damaged}`)];
  const ago = (at: string) => duration(Math.max(0, now - Date.parse(at)));
  if (state.ended !== undefined) {
    return [paint("copper", `  the watcher was stopped ${ago(state.ended)} ago`)];
  }
  if (isStale(state, now)) {
    return [paint("copper", `  the watcher has said nothing for ${ago(state.at)}`)];
  }
  const told = (name: string, { state: is, why, restarts }: Supervised) =>
    `${name} ${is}${why === undefined ? "" : ` (${why})`}${restarts > 0 ? `, acted on ${restarts} times` : ""}`;
  const services = `${told("engine", state.engine)}; ${told("gateway", state.gateway)}; watcher up for ${ago(state.since)}`;
  return [
    paint("steel", `  ${printable(services)}`),
    ...state.halted.map((one) =>
      paint("rust", `  ✗ ${one.id} is not healed any more: ${printable(one.why)}`),
    ),
    ...state.alerts.flatMap(({ level, what, since, fix }) => {
      const colour = level === "fail" ? "rust" : level === "warn" ? "copper" : "taupe";
      return [
        paint(colour, `  ! ${printable(what)} (for ${ago(since)})`),
        ...(fix ? [paint("gold", `    ${printable(commandLine(fix))}`)] : []),
      ];
    }),
  ];
}
