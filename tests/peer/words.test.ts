/** What a forced command is asked for: words of a fixed alphabet, or nothing. */
import fc from "fast-check";
import { expect, test } from "bun:test";
import { ShelterError } from "../../lib/errors.ts";
import { requestWords } from "../../lib/peer/words.ts";

test("whatever the other side sends, only harmless words come out", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), (text) => {
      try {
        for (const word of requestWords(text)) expect(word).toMatch(/^[\w@%+=:,./-]+$/);
      } catch (error) {
        expect(error).toBeInstanceOf(ShelterError);
      }
    }),
  );
});

test("requests, no request, and a request that is none", () => {
  expect(requestWords(" prove  123 ")).toEqual(["prove", "123"]);
  for (const text of [undefined, "", "  ", "sh -c 'id'", "prove $(id)", "a\nb", "x".repeat(5000)]) {
    expect(() => requestWords(text)).toThrow(ShelterError);
  }
});
