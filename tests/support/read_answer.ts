/** What a client sees of an answer, streamed or whole. Imports nothing, so that it also runs where nothing else of this is. */

/** What a client saw of one answer. Times are milliseconds. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly finish: string | undefined;
  readonly usage: Record<string, unknown> | undefined;
  readonly ids: ReadonlySet<string>;
  readonly served: { served_by: string[]; carried_over: number; started_anew: number } | undefined;
  /** The stream's end mark came. */
  readonly whole: boolean;
  readonly error: unknown;
  readonly firstMs: number;
  /** Longest time between two pieces of text, after the first. */
  readonly silenceMs: number;
  readonly tookMs: number;
}

/** Reads an answer, streamed or whole, as a client would. */
export async function readAnswer(asking: Promise<Response>): Promise<Answer> {
  const began = performance.now();
  const seen = { text: "", finish: undefined as string | undefined, whole: false };
  let usage: Record<string, unknown> | undefined;
  let served: Answer["served"];
  let error: unknown;
  let firstMs = 0;
  let silenceMs = 0;
  let last = 0;
  const ids = new Set<string>();
  const take = (document: Record<string, unknown>) => {
    error ??= document["error"];
    if (typeof document["id"] === "string") ids.add(document["id"]);
    usage = (document["usage"] as typeof usage) ?? usage;
    served = (document["shelter"] as typeof served) ?? served;
    for (const choice of (document["choices"] ?? []) as Record<string, unknown>[]) {
      const from = (choice["delta"] ?? choice["message"] ?? { content: choice["text"] }) as Record<
        string,
        unknown
      >;
      const content = from["content"];
      if (typeof content === "string" && content !== "") {
        const now = performance.now();
        if (last === 0) firstMs = now - began;
        else silenceMs = Math.max(silenceMs, now - last);
        last = now;
        seen.text += content;
      }
      seen.finish = (choice["finish_reason"] as string | null) ?? seen.finish;
    }
  };
  const response = await asking;
  if ((response.headers.get("content-type") ?? "").startsWith("text/event-stream")) {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          if (line === "data: [DONE]") seen.whole = true;
          else if (line.startsWith("data: "))
            take(JSON.parse(line.slice(6)) as Record<string, unknown>);
        }
      }
    } catch (broken) {
      error ??= broken;
    }
  } else {
    take((await response.json()) as Record<string, unknown>);
    seen.whole = response.status === 200;
  }
  return {
    status: response.status,
    ...seen,
    usage,
    ids,
    served,
    error,
    firstMs,
    silenceMs,
    tookMs: performance.now() - began,
  };
}
