/** Where in a text JSON breaks: the runtime's own parser does not say. Pure. */

/** A place in a text; lines and columns count from 1. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
  readonly why: string;
}

/** A token of JSON as of RFC 8259; spaces before it belong to it. */
const SPACE = /[ \t\n\r]*/y;
// oxlint-disable-next-line no-control-regex -- RFC 8259 bans exactly these from strings
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
/** Deeper than anything of ours, and far from the stack's end. */
const MOST_NESTED = 200;

/** The first thing that is wrong with a text as JSON; undefined where it is right. */
export function jsonProblem(text: string): TextPlace | undefined {
  const reader = new Reader(text);
  const why = reader.value(0) ?? reader.end();
  return why === undefined ? undefined : { ...placeOf(text, reader.at), why };
}

/** Line and column of an offset. */
export function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const start = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - start + 1 };
}

/** Walks through JSON without building it. Each method gives the reason why it could not go on. */
class Reader {
  at = 0;
  constructor(private readonly text: string) {}

  value(depth: number): string | undefined {
    if (depth > MOST_NESTED) return "nested too deep";
    this.take(SPACE);
    const start = this.text[this.at];
    if (start === undefined) return "the file ends too early";
    if (start === "{") return this.list("}", depth, () => this.member(depth));
    if (start === "[") return this.list("]", depth, () => this.value(depth + 1));
    if (this.take(STRING) || this.take(NUMBER) || this.take(WORD)) return undefined;
    return start === '"'
      ? "a string that is not closed or has a bad character"
      : "no value starts like this";
  }

  end(): string | undefined {
    this.take(SPACE);
    return this.at === this.text.length ? undefined : "there is more after the end";
  }

  private list(close: string, _depth: number, item: () => string | undefined): string | undefined {
    this.at += 1;
    this.take(SPACE);
    if (this.text[this.at] === close) return this.step();
    for (;;) {
      const why = item();
      if (why !== undefined) return why;
      this.take(SPACE);
      const next = this.text[this.at];
      if (next === close) return this.step();
      if (next === undefined) return "the file ends too early";
      if (next !== ",") return `"," or "${close}" is missing`;
      this.at += 1;
    }
  }

  private member(depth: number): string | undefined {
    this.take(SPACE);
    if (!this.take(STRING)) {
      return this.at >= this.text.length
        ? "the file ends too early"
        : "a name in quotes is missing";
    }
    this.take(SPACE);
    if (this.text[this.at] !== ":") return '":" is missing';
    this.at += 1;
    return this.value(depth + 1);
  }

  private step(): undefined {
    this.at += 1;
    return undefined;
  }

  private take(token: RegExp): boolean {
    token.lastIndex = this.at;
    if (!token.test(this.text)) return false;
    this.at = token.lastIndex;
    return true;
  }
}
