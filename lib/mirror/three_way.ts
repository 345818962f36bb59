/** Who changed what, for the paths that two hosts may both write: judged by what both agreed on last. Pure. */

/** What stands at a path, as one word (see `identityOf`); null for nothing. Words are equal exactly where the contents are. */
export type State = string | null;

/** States by path, relative to the home; a path that is not in it has nothing. */
export type States = Readonly<Record<string, string>>;

/**
 * "same": both know that nothing differs. "agree": nothing differs, but that is not written down yet. "mine" and "theirs": one side alone
 * changed it. "conflict": both did, and nothing may be overwritten.
 */
export type Verdict = "same" | "agree" | "mine" | "theirs" | "conflict";

/** Judges one path. `base` is what both agreed on last; null also where they never did. */
export function judge(base: State, mine: State, theirs: State): Verdict {
  if (mine === theirs) return base === mine ? "same" : "agree";
  // without an agreement an absent file is one that never was: nothing is removed because of it
  if (mine === base) return "theirs";
  if (theirs === base) return "mine";
  return "conflict";
}

/** What both sides have written down as agreed; where their records differ nothing counts as agreed, so that neither side's change is taken for none. */
export function agreedOf(mine: States, theirs: States): States {
  return Object.fromEntries(Object.entries(mine).filter(([path, state]) => theirs[path] === state));
}

/** One path as the other side should come to have it: only while it is still `was` there. */
export interface Change {
  readonly path: string;
  readonly was: State;
  readonly now: State;
}

/** One path of which both sides have a version of their own. */
export interface Conflict {
  readonly path: string;
  readonly mine: State;
  readonly theirs: State;
}

/** What follows for all paths together. */
export interface Merge {
  /** To bring about on the other side. */
  readonly changes: readonly Change[];
  /** Changed on the other side alone: its own run brings these. */
  readonly theirs: readonly string[];
  readonly conflicts: readonly Conflict[];
  /** What will be agreed on once `changes` are carried out. */
  readonly agreed: States;
}

/**
 * Judges all paths. `records` are both sides' notes of what was agreed; `settled` paths go over although both changed; what `stays` names does not go over for
 * now, and nothing is agreed on about it.
 */
export function merge(
  mine: States,
  theirs: States,
  records: { readonly mine: States; readonly theirs: States },
  settled: ReadonlySet<string> = new Set(),
  stays: (path: string) => boolean = () => false,
): Merge {
  const base = agreedOf(records.mine, records.theirs);
  const changes: Change[] = [];
  const coming: string[] = [];
  const conflicts: Conflict[] = [];
  const agreed: Record<string, string> = {};
  const all = [mine, theirs, records.mine, records.theirs].flatMap((one) => Object.keys(one));
  for (const path of [...new Set(all)].sort()) {
    const [was, here, there] = [base[path] ?? null, mine[path] ?? null, theirs[path] ?? null];
    const verdict = judge(was, here, there);
    const wanted = verdict === "mine" || (verdict === "conflict" && settled.has(path));
    const goes = wanted && !stays(path);
    if (goes) changes.push({ path, was: there, now: here });
    else if (verdict === "theirs") coming.push(path);
    else if (verdict === "conflict" && !wanted) conflicts.push({ path, mine: here, theirs: there });
    const after = goes || verdict === "agree" || verdict === "same" ? here : was;
    if (after !== null) agreed[path] = after;
  }
  return { changes, theirs: coming, conflicts, agreed };
}

/** True where two records do not say the same. */
export function differ(a: States, b: States): boolean {
  const names = Object.keys(a);
  return names.length !== Object.keys(b).length || names.some((one) => !Object.is(a[one], b[one]));
}

/** A file's word: its hash, and whether it is a program. */
export function identityOf(sha256: string, mode: number): string {
  return (mode & 0o100) === 0 ? sha256 : `${sha256}x`;
}

/** A symbolic link's word. */
export function linkIdentity(target: string): string {
  return `@${target}`;
}
