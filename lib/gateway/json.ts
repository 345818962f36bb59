/** JSON from outside that can be written out again: what is nested too deep would break whoever walks through it later. */

/** Levels of nesting that are read. A schema of a tool has about ten; JSON.stringify gives up between 10,000 and 50,000 (measured, Bun 1.4.4). */
const LEVELS = 512;

/** The value of a JSON text. @throws SyntaxError where it is none, RangeError where it is nested deeper than 512 levels */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (isDeeper(value, LEVELS)) throw new RangeError("nested too deep");
  return value;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  const parts: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return parts.some((one) => isDeeper(one, levels - 1));
}
