/** Who waits for a free engine, and in which order. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Refusal } from "../../lib/gateway/errors.ts";
import { Queue } from "../../lib/gateway/queue.ts";

test("the line: bounded, in order, begun answers first, and nobody gets a place twice", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("ask", "begun", "leave", "free"), { maxLength: 80 }),
      async (steps) => {
        const bound = 3;
        const queue = new Queue<number>(bound);
        let free = 0;
        let given = 0;
        const take = () => (free > 0 ? (free--, ++given) : undefined);
        const waiting: { begun: boolean; at: number; leave: AbortController }[] = [];
        const got: { begun: boolean; at: number }[] = [];
        let at = 0;
        for (const step of steps) {
          if (step === "free") {
            free++;
            queue.turn();
          } else if (step === "leave") {
            waiting.splice(0, 1)[0]?.leave.abort(new Error("left"));
          } else {
            const one = { begun: step === "begun", at: at++, leave: new AbortController() };
            const before = queue.length;
            waiting.push(one);
            queue.take(take, one.begun, one.leave.signal).then(
              () => {
                got.push(one);
                return waiting.splice(waiting.indexOf(one), 1);
              },
              (error: unknown) => {
                if (!(error instanceof Refusal)) return undefined;
                expect(error).toMatchObject({ status: 429, code: "queue_full" });
                expect(one.begun).toBe(false);
                expect(before).toBeGreaterThanOrEqual(bound);
                return waiting.splice(waiting.indexOf(one), 1);
              },
            );
          }
          await Bun.sleep(0);
          expect(given).toBe(got.length);
          expect(queue.length).toBe(waiting.length);
          expect(waiting.filter((one) => !one.begun).length).toBeLessThanOrEqual(bound);
          // who is served is the first of the begun, else the first of the others
          for (const kind of [true, false]) {
            const order = got.filter((one) => one.begun === kind).map((one) => one.at);
            expect(order).toEqual([...order].sort((a, b) => a - b));
          }
          const begunWaits = waiting.some((one) => one.begun);
          if (begunWaits && step === "free") expect(got.at(-1)?.begun).toBe(true);
          if (free > 0) expect(waiting).toHaveLength(0);
        }
      },
    ),
    { numRuns: 60 },
  );
});
