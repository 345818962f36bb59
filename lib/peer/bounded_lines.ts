/** What another host says, line by line, and never more of it than there is room for. */

/** Longest line, in characters. */
export const LINE_LIMIT = 64 * 1024;
/** Most of all that one talk may say, in characters. */
export const TALK_LIMIT = 32 * 1024 * 1024;

/** Takes chunks and hands over whole lines. */
export interface BoundedLines {
  /** False once there was too much: then nothing more is handed over. */
  take(chunk: Uint8Array): boolean;
  /** Hands over what stood after the last line break. */
  end(): void;
}

/** A line that is too long is cut, and says so. */
export function boundedLines(
  hand: (line: string) => void,
  limits = { line: LINE_LIMIT, all: TALK_LIMIT },
): BoundedLines {
  const decoder = new TextDecoder();
  let rest = "";
  let cutting = false;
  let all = 0;
  const give = (line: string) => {
    if (!cutting) hand(line.endsWith("\r") ? line.slice(0, -1) : line);
    cutting = false;
  };
  return {
    take: (chunk) => {
      all += chunk.byteLength;
      if (all > limits.all) return false;
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.length > limits.line && !cutting) hand(`${line.slice(0, limits.line)} …`);
        else give(line);
        cutting = false;
      }
      if (rest.length > limits.line) {
        if (!cutting) hand(`${rest.slice(0, limits.line)} …`);
        cutting = true;
        rest = "";
      }
      return true;
    },
    end: () => {
      if (rest !== "") give(rest);
      rest = "";
    },
  };
}
