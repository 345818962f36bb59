/** The least that the operator wants of a model on this host (shared.cfg, `baselines`), held against what was measured. Pure. */
import type { Floor } from "../../hosts/config.ts";
import type { Finding } from "../../unit.ts";
import type { BenchResult } from "./results.ts";
import { isBelow, showStat, stat, type Stat } from "./stats.ts";

/** A figure that is not enough. */
interface Short {
  readonly what: "prompt" | "generation";
  readonly now: Stat;
  readonly wanted: number;
}

/** The floor of a model that a result does not reach. The served load of one request is judged, as the operator feels it; llama-bench's own figures where nothing was served. */
function shortOf(floors: readonly Floor[], result: BenchResult): readonly Short[] {
  const { prompt, generation } = result.served.find((one) => one.concurrent === 1) ?? result.bench;
  return floors
    .filter(({ model }) => model === result.model.name)
    .flatMap((floor): readonly Short[] => [
      ...short("prompt", prompt, floor.prompt),
      ...short("generation", generation, floor.generation),
    ]);
}

/** Says which floor is not reached; fails the run as below the baseline once nothing is left to measure. */
export function floorFindings(
  floors: readonly Floor[],
  result: BenchResult,
  settled: boolean,
): readonly Finding[] {
  const found = shortOf(floors, result);
  if (found.length === 0) return [];
  const { name } = result.model;
  const said = found.map(
    ({ what, now, wanted }) => `${what} ${showStat(now)} instead of ${wanted} tokens/s`,
  );
  return [
    {
      id: `below-floor-${name}`,
      level: settled ? "fail" : "warn",
      means: "below-baseline",
      what: `${name} is slower than shared.cfg wants it: ${said.join("; ")}`,
      why: "its floor is the operator's own; tuning may reach it, or it is too high for this host",
      evidence: `shared.cfg, baselines; measured ${result.at}`,
      fix: ["./bin/04_llm_benchmark", "--tune"],
    },
  ];
}

/** Below by more than the measurement's own spread: a floor that is met half of the time is met. */
function short(what: Short["what"], now: Stat, wanted: number | undefined): readonly Short[] {
  return wanted !== undefined && isBelow(now, stat([wanted])) ? [{ what, now, wanted }] : [];
}
