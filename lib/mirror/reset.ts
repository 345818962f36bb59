/** A shared.cfg that was begun anew here: settings that were lost on one host are not taken from the other. */
import { saysAnything } from "../hosts/config.ts";
import { DEFAULT_CONFIG_TEXT } from "../hosts/config_default.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import { judge, type States } from "./three_way.ts";
import type { Vanished } from "./vanished.ts";

const CONFIG = "shared.cfg";

/**
 * shared.cfg, where this host's version would go over to the peer although it sets nothing and nobody wrote it so: it is the text of a first run, or a damaged
 * one still waits beside it. `settled` is what the operator said to send as it is.
 */
export function resetConfig(
  probe: Pick<Probe, "home" | "list" | "text">,
  mine: States,
  theirs: States,
  base: States,
  settled: ReadonlySet<string>,
): readonly Vanished[] {
  const here = mine[CONFIG];
  const there = theirs[CONFIG];
  if (here === undefined || there === undefined || settled.has(CONFIG)) return [];
  if (judge(base[CONFIG] ?? null, here, there) !== "mine") return [];
  const text = probe.text(inHome.config(probe.home)) ?? "";
  const damaged = probe.list(probe.home).findLast((name) => name.startsWith(`${CONFIG}.damaged-`));
  if (text !== DEFAULT_CONFIG_TEXT && (damaged === undefined || saysAnything(text))) return [];
  return [
    { top: CONFIG, theirs: [{ path: CONFIG, mine: here, theirs: there }], reset: damaged ?? null },
  ];
}
