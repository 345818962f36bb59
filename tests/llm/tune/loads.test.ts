/** What engines are asked while they are tuned. */
import { expect, test } from "bun:test";
import { chatPrompt, NEW_TURNS, rewritePrompt } from "../../../lib/llm/tune/loads.ts";

const texts = (make: typeof chatPrompt, turns: number) =>
  Array.from({ length: turns }, (_, turn) => JSON.stringify(make(turn)));

test("no file is written again twice, and neighbours share no line that names their thing", () => {
  expect(new Set(texts(rewritePrompt, NEW_TURNS)).size).toBe(NEW_TURNS);
  for (let turn = 1; turn < NEW_TURNS; turn++) {
    const [before, now] = [turn - 1, turn].map((one) => rewritePrompt(one)[0]?.content ?? "");
    const thing = /average\((\w+):/.exec(now ?? "")?.[1] ?? "";
    const known = new Set(before?.split("\n"));
    const naming = (now ?? "").split("\n").filter((line) => line.includes(thing));
    expect(naming.length).toBeGreaterThan(5);
    expect(naming.filter((line) => known.has(line))).toEqual([]);
  }
});

test("no question is asked twice", () => {
  expect(new Set(texts(chatPrompt, NEW_TURNS)).size).toBe(NEW_TURNS);
});

test("what is to be written again begins as the file does", () => {
  for (let turn = 0; turn < NEW_TURNS; turn++) {
    const [asked, begun] = rewritePrompt(turn);
    expect(asked?.content).toContain(begun?.content ?? "nothing");
    expect(begun?.content).not.toContain("average");
  }
});
