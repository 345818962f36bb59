/** Facts that may be unknown: then they say why, and whether root would see them. */
import type { Probe, Reading } from "../machine/probe.ts";
import { either, object, oneOf, text, type Of, type Shape } from "./shape.ts";

/**
 * Why a fact is not known. "absent": the machine does not show it. "denied": root would see it. "asleep": reading it would wake a device.
 * "failed": it is there, and what it says makes no sense.
 */
const unknownShape = object({
  unknown: text,
  because: oneOf("absent", "denied", "asleep", "failed"),
});
/** A fact that is not known; see above for the reasons. */
export type Unknown = Of<typeof unknownShape>;

/** A T, or why there is none. */
export type Known<T> = T | Unknown;

/** The shape of a fact that may be unknown. */
export function known<T>(of: Shape<T>): Shape<Known<T>> {
  return either(of, unknownShape);
}

/** True for a fact that is known. */
export function isKnown<T>(fact: Known<T>): fact is T {
  return !(typeof fact === "object" && fact !== null && "unknown" in fact && "because" in fact);
}

/** The value of a known fact. */
export function valueOf<T>(fact: Known<T>): T | undefined {
  return isKnown(fact) ? fact : undefined;
}

/** The machine does not show it. */
export function absent(why: string): Unknown {
  return { unknown: why, because: "absent" };
}
/** Root would see it; `what` is the fact that would be added. */
export function denied(what: string): Unknown {
  return { unknown: `root would add: ${what}`, because: "denied" };
}
/** It is there, and what it says makes no sense. */
export function failed(why: string): Unknown {
  return { unknown: why, because: "failed" };
}
/** Reading it would wake a device. */
export function asleep(why: string): Unknown {
  return { unknown: why, because: "asleep" };
}

/** A fact from a file: what `parse` makes of its text, else why there is none. `what` names the fact. */
export function readKnown<T>(
  probe: Pick<Probe, "read">,
  path: string,
  what: string,
  parse: (content: string) => T | undefined,
): Known<T> {
  const reading = probe.read(path);
  if (reading.state !== "ok") return whyNot(reading, path, what);
  return parse(reading.text) ?? failed(`${path} says nothing that can be read as ${what}`);
}

/** Why a file gave nothing. */
export function whyNot(
  reading: Exclude<Reading, { readonly state: "ok" }>,
  path: string,
  what: string,
): Unknown {
  if (reading.state === "absent") return absent(`${path} is not there`);
  if (reading.state === "denied") return denied(what);
  return failed(`${path}: ${reading.why}`);
}
