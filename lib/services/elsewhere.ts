/** Models that a person keeps on another disk: the services and the timer must be let at them. */
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";

/** Where the models really are, where that is not in the home. */
export function elsewhereOf(probe: Pick<Probe, "home" | "real">): readonly string[] {
  const { home } = probe;
  const real = [inHome.models(home), inHome.store(home)].flatMap((path) => probe.real(path) ?? []);
  const base = probe.real(home) ?? home;
  return [...new Set(real.filter((path) => !path.startsWith(`${base}/`)))];
}
