/** What the caller's environment may not do to a command line of ours. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const FOLDER = mkdtempSync(join(tmpdir(), "shelter-shell-"));
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));
const LIB = resolve(import.meta.dir, "../../lib/machine");

async function inProcess(code: string, env: Readonly<Record<string, string>>) {
  const file = join(FOLDER, "ask.ts");
  writeFileSync(
    file,
    `import { thisMachine } from ${JSON.stringify(join(LIB, "machine.ts"))};
     import { createProbe } from ${JSON.stringify(join(LIB, "probe.ts"))};
     const machine = thisMachine();
     const probe = createProbe(machine, ${JSON.stringify(FOLDER)}, "testhost");
     ${code}`,
  );
  const child = Bun.spawn([process.execPath, file], {
    env: { PATH: process.env["PATH"] ?? "", HOME: FOLDER, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  return text;
}

test("zx takes neither settings nor its shell from the caller", async () => {
  const marks = ["prefix", "postfix", "shell", "bash"].map((name) => join(FOLDER, name));
  const [prefix = "", postfix = "", shell = "", bash = ""] = marks;
  const fake = (name: string, mark: string) =>
    writeFileSync(join(FOLDER, name), `#!/bin/sh\n: > '${mark}'\nexec /bin/bash "$@"\n`, {
      mode: 0o755,
    });
  const bin = mkdtempSync(join(FOLDER, "bin-"));
  fake("own-shell", shell);
  fake(join(bin.slice(FOLDER.length + 1), "bash"), bash);
  const said = await inProcess(
    "const ran = await probe.$`echo ${'a b'}; echo $PATH`; console.log(ran.code, ran.stdout);",
    {
      PATH: `${bin}:${process.env["PATH"] ?? ""}`,
      ZX_PREFIX: `: > '${prefix}';`,
      ZX_POSTFIX: `; : > '${postfix}'`,
      ZX_SHELL: join(FOLDER, "own-shell"),
      ZX_PREFER_LOCAL: "/nowhere",
    },
  );
  expect(said).toStartWith("0 a b\n");
  expect(said).not.toContain("/nowhere");
  expect(marks.filter((path) => existsSync(path))).toEqual([]);
});

test("what systeminformation starts gets the environment of our children", async () => {
  const said = await inProcess(
    "await machine.system(); console.log(JSON.stringify(Object.keys(process.env)));",
    { BASH_ENV: "/nowhere", BUN_BE_BUN: "", SHELTER_TEST: "stays", NO_COLOR: "1" },
  );
  const names = JSON.parse(said) as string[];
  expect(names).not.toContain("BASH_ENV");
  expect(names).toEqual(expect.arrayContaining(["SHELTER_TEST", "NO_COLOR", "PATH", "HOME"]));
});
