/** Reading a stream of events. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { EventReader, StreamFault } from "../../lib/gateway/sse.ts";

test("events are the same however the bytes of a stream are split", () => {
  const data = fc.array(
    fc.string({ unit: "grapheme", maxLength: 20 }).filter((text) => !/[\r\n]/.test(text)),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(
      data,
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      fc.boolean(),
      (events, sizes, crlf) => {
        const end = crlf ? "\r\n" : "\n";
        const bytes = Buffer.from(
          events.map((one) => `: comment${end}event: x${end}data: ${one}${end}${end}`).join(""),
        );
        const reader = new EventReader();
        const found: string[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          found.push(...reader.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(found).toEqual(events);
      },
    ),
  );
});

test("a line without end is given up, as are bytes that are no text", () => {
  const reader = new EventReader();
  const piece = Buffer.alloc(100_000, "a");
  expect(() => {
    for (let i = 0; i < 100; i++) reader.push(piece);
  }).toThrow(StreamFault);
  expect(() => new EventReader().push(Buffer.from([0xc3, 0x28]))).toThrow(StreamFault);
});

test("comments keep a stream open, but none that has nothing else is read for ever", () => {
  const comments = Buffer.from(": still there\n\n".repeat(10_000));
  const events = Buffer.concat([comments, Buffer.from("data: x\n\n")]);
  const speaking = new EventReader();
  for (let i = 0; i < 100; i++) expect(speaking.push(events)).toEqual(["x"]);
  const silent = new EventReader();
  expect(() => {
    for (let i = 0; i < 100; i++) silent.push(comments);
  }).toThrow(StreamFault);
});
