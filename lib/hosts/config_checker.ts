/** Reads single values of a parsed YAML file by path, and notes what is wrong with its line and column. */
import type { Document, LineCounter } from "yaml";
import type { ConfigNote } from "./settings.ts";

/** Keys that lead to a value, from the top. */
export type Path = readonly (string | number)[];
/** A mapping whose values are not checked yet. */
export type Table = { readonly [key: string]: unknown };

/** Reads values out of the parsed file and notes what is wrong where, instead of stopping at the first. */
export class Checker {
  readonly problems: ConfigNote[] = [];
  readonly unknown: ConfigNote[] = [];
  constructor(
    private readonly yaml: Pick<typeof import("yaml"), "isMap" | "isNode" | "isScalar">,
    private readonly document: Document,
    private readonly lines: LineCounter,
  ) {}

  problem(path: Path, why: string): void {
    this.problems.push(this.note(path, why));
  }

  known(table: Table, path: Path, names: readonly string[]): void {
    for (const name of Object.keys(table)) {
      if (names.includes(name)) continue;
      this.unknown.push(
        this.note([...path, name], `no script knows this key; known here: ${names.join(", ")}`),
      );
    }
  }

  table(from: Table, path: Path): Table {
    return this.tableOf(valueAt(from, path), path);
  }

  tableOf(value: unknown, path: Path): Table {
    if (value === undefined || value === null) return {};
    if (typeof value === "object" && !Array.isArray(value)) return value as Table;
    this.problem(path, "`key: value` settings are wanted here");
    return {};
  }

  entries(from: Table, path: Path): (readonly [string, unknown])[] {
    return this.entriesOf(valueAt(from, path), path);
  }

  entriesOf(value: unknown, path: Path): (readonly [string, unknown])[] {
    return Object.entries(this.tableOf(value, path));
  }

  text(from: Table, path: Path, form: RegExp, what: string): string | undefined {
    const value = valueAt(from, path);
    if (value === undefined || value === null) return undefined;
    if (typeof value === "string" && form.test(value)) return value;
    this.problem(path, `${what} is wanted here`);
    return undefined;
  }

  texts(from: Table, path: Path, form: RegExp, what: string): string[] {
    const value = valueAt(from, path);
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) {
      this.problem(path, "a list is wanted here, e.g. [one, two]");
      return [];
    }
    return value.flatMap((item: unknown, i) => {
      if (typeof item === "string" && form.test(item)) return [item];
      this.problem([...path, i], `${what} is wanted here`);
      return [];
    });
  }

  oneOf<T extends string>(from: Table, path: Path, choices: readonly T[]): T | undefined {
    const value = valueAt(from, path);
    return value === undefined || value === null ? undefined : this.chosen(value, path, choices);
  }

  chosen<T extends string>(value: unknown, path: Path, choices: readonly T[]): T | undefined {
    const found = choices.find((choice) => choice === value);
    if (found === undefined)
      this.problem(path, `one of these is wanted here: ${choices.join(", ")}`);
    return found;
  }

  count(from: Table, path: Path, least: number, most: number): number | undefined {
    const value = valueAt(from, path);
    if (value === undefined || value === null) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most)
      return value;
    this.problem(path, `a whole number from ${least} to ${most} is wanted here`);
    return undefined;
  }

  rate(from: Table, path: Path): number | undefined {
    const value = valueAt(from, path);
    if (value === undefined || value === null) return undefined;
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    this.problem(path, "tokens per second, a number above 0, are wanted here");
    return undefined;
  }

  private note(path: Path, why: string): ConfigNote {
    const { line, col } = this.lines.linePos(this.start(path));
    return { key: path.join("."), line, column: col, why };
  }

  /** Where the key of this path stands in the file; of the nearest one above where it has no place of its own. */
  private start(path: Path): number {
    const { isMap, isNode, isScalar } = this.yaml;
    const parent =
      path.length > 1 ? this.document.getIn(path.slice(0, -1), true) : this.document.contents;
    const last = path.at(-1);
    if (isMap(parent)) {
      for (const { key } of parent.items) {
        if (isScalar(key) && String(key.value) === String(last) && key.range) return key.range[0];
      }
    }
    const own = this.document.getIn(path, true);
    if (isNode(own) && own.range) return own.range[0];
    return path.length > 1 ? this.start(path.slice(0, -1)) : 0;
  }
}

/** The value under the last key of a path, where `from` is the table that holds it. Inherited names ("constructor") are none. */
function valueAt(from: Table, path: Path): unknown {
  const key = String(path.at(-1));
  return Object.hasOwn(from, key) ? from[key] : undefined;
}
