/** What nobody asked about, when services are installed. Pure. */
import type { Finding } from "../unit.ts";
import type { ServicesFacts } from "./facts.ts";

export function unaskedServices(facts: ServicesFacts): readonly Finding[] {
  if (!facts.program || facts.missing) return [];
  return [
    ...(facts.peers.length === 0 ? [alone(facts)] : []),
    ...(facts.engines.length < 2 ? [NO_BUILD_BEFORE] : []),
    ...(facts.measured ? [] : [UNMEASURED_STEPS]),
  ];
}

function alone({ home }: ServicesFacts): Finding {
  return {
    id: "no-one-to-fall-to",
    level: "info",
    what: "the gateway has only this host's engine",
    why: "when the engine dies amid an answer, no other can go on with it",
    evidence: `${home}/runtime/trust`,
    fix: ["./bin/shelter", "pair", "OTHER"],
  };
}

const NO_BUILD_BEFORE: Finding = {
  id: "no-build-before",
  level: "info",
  what: "there is no earlier build of the engine to go back to",
  why: "should the live one fail again and again, the watcher can only halt it",
  evidence: "runtime/llama.cpp holds one proven build",
};

const UNMEASURED_STEPS: Finding = {
  id: "steps-guessed",
  level: "info",
  what: "the engine reads prompts in very short steps, because its speed on this host was never measured",
  why: "longer steps are faster, and how long one may be follows from the measured speed",
  evidence: "runtime/bench",
  fix: ["./bin/04_llm_benchmark"],
};
