/** Where a JSON text is damaged. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { jsonProblem } from "../../lib/facts/json_place.ts";

const placed = (text: string) => {
  const found = jsonProblem(text);
  return found && `${found.line}:${found.column} ${found.why}`;
};

test("damage is found where it is", () => {
  expect(placed("")).toBe("1:1 the file ends too early");
  expect(placed('{\n  "a": 1,\n  "b": \n')).toBe("4:1 the file ends too early");
  expect(placed('{\n  "a": 1\n  "b": 2\n}')).toBe('3:3 "," or "}" is missing');
  expect(placed('{\n  "a" 1\n}')).toBe('2:7 ":" is missing');
  expect(placed('{"a": 1,}')).toBe("1:9 a name in quotes is missing");
  expect(placed("[1, 2")).toBe("1:6 the file ends too early");
  expect(placed("\0\0\0")).toBe("1:1 no value starts like this");
  expect(placed('{"a": "open\n"}')).toBe("1:7 a string that is not closed or has a bad character");
  expect(placed('{"a": 01}')).toBe('1:8 "," or "}" is missing');
  expect(placed('{"a": 1}\n{"b": 2}')).toBe("2:1 there is more after the end");
  expect(placed("[".repeat(100_000))).toBe("1:202 nested too deep");
});

test("it is of one mind with the runtime's own parser", () => {
  const shallow = fc.jsonValue({ maxDepth: 5 }).map((value) => JSON.stringify(value, null, 1));
  fc.assert(fc.property(shallow, (text) => expect(jsonProblem(text)).toBeUndefined()));
  const broken = fc
    .tuple(shallow, fc.nat(), fc.constantFrom("", "x", '"', "}", "]", ",", ":", "0", "\n", "\\"))
    .map(([text, at, put]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + put + text.slice(place + 1);
    });
  fc.assert(
    fc.property(fc.oneof(broken, fc.string()), (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      expect([text, jsonProblem(text) === undefined]).toEqual([text, valid]);
    }),
    { numRuns: 2000 },
  );
});
