/**
 * The clients of the failover figures. Bundled into one file and run on a host of the lab: a steady load of several askers, half of them with streams.
 * Its argument is a JSON `Load`; it prints one JSON `Seen` a line, in the order in which the answers ended.
 */
import { readFileSync } from "node:fs";
import { readAnswer } from "../support/read_answer.ts";

/** What to ask, and for how long. */
export interface Load {
  readonly url: string;
  readonly keyFile: string;
  readonly model: string;
  /** One asker each. */
  readonly questions: readonly string[];
  readonly tokens: number;
  /** No new question is asked after this many milliseconds. */
  readonly lasts: number;
}

/** One answer. `began` and `ended` are milliseconds since the epoch. */
export interface Seen {
  readonly question: number;
  readonly streamed: boolean;
  readonly text: string;
  readonly whole: boolean;
  readonly error?: string;
  readonly silence: number;
  readonly carried: number;
  readonly began: number;
  readonly ended: number;
}

/** Longest that an answer may take, in milliseconds: one that hangs is lost. */
const PATIENCE = 60_000;

if (import.meta.main) await load(JSON.parse(process.argv[2] ?? "{}") as Load);

async function load({ url, keyFile, model, questions, tokens, lasts }: Load): Promise<void> {
  const key = readFileSync(keyFile, "utf8").trim();
  const until = Date.now() + lasts;
  const ask = async (question: number, streamed: boolean): Promise<Seen> => {
    const began = Date.now();
    const none = { text: "", whole: false, silence: 0, carried: 0 };
    const one = await readAnswer(
      fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({
          model,
          messages: [{ role: "user", content: questions[question] }],
          max_tokens: tokens,
          temperature: 0,
          stream: streamed,
        }),
        signal: AbortSignal.timeout(PATIENCE),
        keepalive: false,
        timeout: false,
      } as BunFetchRequestInit),
    ).then(
      ({ text, whole, error, silenceMs, served }) => ({
        text,
        whole: whole && error === undefined,
        silence: streamed ? silenceMs : 0,
        carried: served?.carried_over ?? 0,
        ...(error === undefined
          ? {}
          : { error: error instanceof Error ? error.message : JSON.stringify(error) }),
      }),
      (error: unknown) => ({ ...none, error: String(error) }),
    );
    return { question, streamed, ...one, began, ended: Date.now() };
  };
  await Promise.all(
    questions.map(async (_, at) => {
      for (let turn = at; Date.now() < until; turn++) {
        const seen = await ask(at, turn % 2 === 0);
        console.log(JSON.stringify(seen));
        if (!seen.whole) await Bun.sleep(250); // an asker who was refused does not flood
      }
    }),
  );
}
