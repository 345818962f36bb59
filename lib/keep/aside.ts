/** Names for what is set aside: beside the original, with the time, and never one that is taken. */
import type { Probe } from "../machine/probe.ts";

/** `<path>.<word>-<UTC>`, e.g. "shared.cfg.damaged-20261123T062957Z"; numbered where that name is taken. */
export function freeName(probe: Pick<Probe, "now" | "stat">, path: string, word: string): string {
  const stamp = new Date(probe.now()).toISOString().replace(/[-:]|\.\d{3}/g, "");
  const name = `${path}.${word}-${stamp}`;
  for (let n = 0; ; n += 1) {
    const candidate = n === 0 ? name : `${name}-${n}`;
    if (probe.stat(candidate) === undefined) return candidate;
  }
}
