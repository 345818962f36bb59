/** Reading standard input: all of it, or line by line while it stays open. */
import { ShelterError } from "../errors.ts";
import { widenPipe } from "../machine/pipe.ts";

/** All of standard input. @throws ShelterError "input-too-long" beyond `limit` characters. */
export async function readInput(limit: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of process.stdin) {
    text +=
      typeof chunk === "string" ? chunk : decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > limit) throw tooLong(limit);
  }
  return text;
}

/** Standard input as it comes, for long streams. */
export async function* inputBytes(): AsyncIterable<Uint8Array> {
  await widenPipe(0);
  yield* process.stdin as AsyncIterable<Uint8Array>;
}

/** Lets go of standard input: what nobody reads any more must not keep the program. */
export function closeInput(): void {
  process.stdin.destroy();
}

/** Standard input line by line. */
export interface InputLines {
  /** The next line; undefined once it has ended. @throws ShelterError "input-too-long" beyond `limit` characters. */
  next(): Promise<string | undefined>;
  /** Lets go of it, so that it holds nothing up. */
  close(): void;
}

/** Begins to read lines of at most `limit` characters each. */
export function inputLines(limit: number): InputLines {
  const decoder = new TextDecoder();
  const lines: string[] = [];
  let rest = "";
  let ended = false;
  let wake = () => undefined as void;
  const end = () => {
    ended = true;
    wake();
  };
  const hear = (chunk: Uint8Array | string) => {
    rest += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    const whole = rest.split("\n");
    rest = whole.pop() ?? "";
    lines.push(...whole);
    wake();
  };
  process.stdin.on("data", hear);
  process.stdin.once("end", end);
  process.stdin.once("error", end);
  return {
    next: async () => {
      for (;;) {
        const line = lines.shift();
        if (Math.max(line?.length ?? 0, rest.length) > limit) throw tooLong(limit);
        if (line !== undefined || ended) return line;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close: () => {
      process.stdin.off("data", hear);
      closeInput();
    },
  };
}

function tooLong(limit: number): ShelterError {
  const why = `it is longer than ${limit} characters`;
  return new ShelterError("input-too-long", "reading standard input", why);
}
