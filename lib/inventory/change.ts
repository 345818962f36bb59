/** One change, and how changes are worded. */
import type { Disk } from "./document.ts";
import { isKnown, valueOf, type Known } from "./known.ts";

/** One change. A loss is something that the machine had or could and no longer has. */
export interface Change {
  readonly text: string;
  readonly loss: boolean;
}

/** Something that is new, or merely other. */
export const gain = (text: string): Change => ({ text, loss: false });
/** Something that is gone or worse. */
export const loss = (text: string): Change => ({ text, loss: true });

/** "what a -> b" where both are known and differ. */
export function changed<T extends string | number>(
  what: string,
  before: Known<T>,
  now: Known<T>,
  say: (value: T, other: T) => string = String,
): readonly Change[] {
  if (!isKnown(before) || !isKnown(now) || before === now) return [];
  return [gain(`${what} ${say(before, now)} -> ${say(now, before)}`)];
}

/** A disk as a person knows it. */
export function diskName(disk: Disk): string {
  const model = valueOf(disk.model);
  return model === undefined ? disk.name : `${disk.name} (${model})`;
}

/** Bytes as GB the way memory is sold: binary, e.g. "8 GB". */
export function gigabytes(bytes: number): string {
  const value = bytes / 2 ** 30;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} GB`;
}
