/** Small readers for text that others wrote: each gives a value or undefined, and none throws. */

/** A whole number of 0 or more in decimal, or undefined. What is beyond exact numbers is undefined too. */
export function whole(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  if (!/^\d{1,16}$/.test(trimmed)) return undefined;
  const value = Number(trimmed);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A number with an optional fraction and sign, or undefined. */
export function decimal(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  return /^-?\d{1,15}(\.\d{1,15})?$/.test(trimmed) ? Number(trimmed) : undefined;
}

/** "key<separator> value" lines as a map; the first of equal keys stays. Lines without the separator are left out. */
export function pairs(text: string, separator: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf(separator);
    if (at < 1) continue;
    const key = line.slice(0, at).trim();
    if (!found.has(key)) found.set(key, line.slice(at + separator.length).trim());
  }
  return found;
}

/** Trimmed text, or undefined where nothing is left of it. */
export function filled(text: string | undefined): string | undefined {
  const trimmed = text?.trim();
  return trimmed === "" ? undefined : trimmed;
}

/** JSON, or undefined where it is none. */
export function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** A JSON object's members, or none where it is another kind of value. */
export function members(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}

/** A size as the kernel writes those of caches: "48K", "1280K", "2M". Bytes, or undefined. */
export function kernelSize(text: string | undefined): number | undefined {
  const found = /^(\d{1,9})([KMG])?$/.exec(text?.trim() ?? "");
  if (!found) return undefined;
  const factor = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[found[2] ?? ""] ?? 1;
  return Number(found[1]) * factor;
}

/** What firmware says of itself, or undefined where it has one of its ways of saying nothing. */
export function saidByFirmware(text: string | undefined): string | undefined {
  const value = filled(text);
  return value === undefined || SAYS_NOTHING.test(value) ? undefined : value;
}

const SAYS_NOTHING =
  /^(unknown|not specified|not provided|none|n\/a|-+|no dimm|\[?empty\]?|0x0+|default string|system (manufacturer|product name|version)|<bad index>|to be filled by o\.?e\.?m\.?)$/i;

/** The members that have a value: what is undefined, or an object without members, is left out. */
export function gapless<T extends object>(entries: T): Gapless<T> {
  return Object.fromEntries(
    Object.entries(entries).filter(
      ([, value]) =>
        value !== undefined &&
        !(typeof value === "object" && value !== null && Object.keys(value as object).length === 0),
    ),
  ) as Gapless<T>;
}

/** Each member is there with a value, or not there. */
export type Gapless<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };
