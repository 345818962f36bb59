/** Version numbers in what programs say of themselves, and in Debian's packages. */

/** The first dotted number in a text: "g++ (Debian 12.2.0-14) 12.2.0" -> "12.2.0". A number in brackets is the packager's and counts only where there is no other. */
export function versionIn(text: string): string | undefined {
  const [first = ""] = text.trim().split("\n");
  const plain = first.replace(/\([^)]*\)/g, " ");
  return dotted(plain) ?? dotted(first) ?? dotted(text) ?? /\b\d{1,6}\b/.exec(plain)?.[0];
}

/** -1, 0 or 1 as `a` is older than, equal to or newer than `b`, compared number by number; what is missing counts as 0. */
export function compareVersions(a: string, b: string): -1 | 0 | 1 {
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return 0;
}

/** What upstream calls a Debian package's version: "4:12.2.0-3" -> "12.2.0", "11.8.89~11.8.0-5~deb12u1" -> "11.8.89". */
export function upstreamOf(debian: string): string {
  return debian.replace(/^\d+:/, "").replace(/[~+-].*$/, "");
}

function dotted(text: string): string | undefined {
  return /\d{1,6}(?:\.\d{1,6}){1,4}/.exec(text)?.[0];
}

function numbers(version: string): readonly number[] {
  return (version.match(/\d{1,9}/g) ?? []).map(Number);
}
