/** A promise whose failure nobody took. */
import { expect, test } from "bun:test";
import { bugNote } from "../../lib/gateway/errors.ts";

/** Runs a program that leaves a failure to nobody amid its work. */
function run(guarded: boolean): { readonly said: string; readonly code: number } {
  const lib = new URL("../../lib/", import.meta.url).pathname;
  const program = `
    import { bugNote } from ${JSON.stringify(`${lib}gateway/errors.ts`)};
    import { onStray } from ${JSON.stringify(`${lib}machine/stray.ts`)};
    const off = onStray((error) => console.log(bugNote(error)));
    if (!${guarded}) off();
    setTimeout(() => void Promise.reject(new TypeError("a client's secret")), 10);
    setTimeout(() => console.log("still there"), 200);
  `;
  const ran = Bun.spawnSync([process.execPath, "-e", program], {
    env: { ...process.env, BUN_BE_BUN: "1" },
  });
  return { said: ran.stdout.toString(), code: ran.exitCode };
}

test("is heard of, and the program goes on; without that it would end", () => {
  const { said, code } = run(true);
  expect(said).toStartWith("an error that should not happen: TypeError at ");
  expect(said).not.toContain("secret");
  expect(said).toEndWith("still there\n");
  expect(code).toBe(0);
  expect(run(false)).toEqual({ said: "", code: 1 });
});

test("its note names the kind and the place, never the message", () => {
  expect(bugNote(new RangeError("a client's secret"))).toMatch(/RangeError at .*stray\.test\.ts/);
  expect(bugNote("a client's secret")).toBe("an error that should not happen: string");
});
