/** Asking at a terminal; `script` (util-linux) gives the asked program one. */
import { expect } from "bun:test";
import { join } from "node:path";
import { testUnless } from "../support/left_out.ts";

const PROMPT = join(import.meta.dir, "../../lib/cli/prompt.ts");
const PROGRAM = `
  const { askYesNo } = await import(${JSON.stringify(PROMPT)});
  console.log("answer", String(await askYesNo("Go on?", false).catch((error) => error.name)));
  process.exit();
`;

/** What the program makes of these keys, pressed once it has asked. */
async function pressed(keys: string): Promise<string> {
  const command = `stty cols 80; '${process.execPath}' -e '${PROGRAM.replaceAll("\n", " ")}'`;
  const child = Bun.spawn(["script", "-qefc", command, "/dev/null"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
    env: { ...process.env, TERM: "xterm" },
  });
  let text = "";
  let asked = false;
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    if (asked || !text.includes("Go on?")) continue;
    asked = true;
    await Bun.sleep(200); // it draws first and listens then
    await child.stdin.write(keys);
    await child.stdin.flush();
  }
  return /answer (\w+)/.exec(text)?.[1] ?? text;
}

const noTerminal = Bun.which("script") ? undefined : "no script(1) to make a terminal with";
testUnless(noTerminal)(
  "Ctrl-C is no answer: it interrupts",
  async () => {
    expect(await pressed("\u0003")).toBe("Interrupted");
  },
  20_000,
);
testUnless(noTerminal)(
  "yes is yes, Enter alone is what was said",
  async () => {
    expect(await pressed("y\r")).toBe("true");
    expect(await pressed("\r")).toBe("false");
  },
  20_000,
);
