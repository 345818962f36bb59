/** `shelter watch` in a real pseudo-terminal (script, util-linux), and without one. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isCommandAllowed } from "../../lib/hosts/alert_command.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { testUnless } from "../support/left_out.ts";
import { Watching } from "./looks.ts";

let home: string;
const shelter = join(import.meta.dir, "../../scripts/08_shelter_cli.ts");
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "shelter-screen-"));
  mkdirSync(join(home, "runtime", "state"), { recursive: true });
  const watching = new Watching();
  watching.for(10_000);
  const state = { ...watching.state, at: new Date().toISOString() };
  writeFileSync(join(home, "runtime", "state", "watch.json"), JSON.stringify(state));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const argv = (...more: string[]) => [process.execPath, shelter, "watch", "--home", home, ...more];

/** Types `keys` into the terminal once the picture is there; `stty -g` before and after tells whether the terminal is as it was. */
async function inTerminal(keys: string) {
  const line = argv()
    .map((word) => `'${word}'`)
    .join(" ");
  const child = Bun.spawn(
    [
      "script",
      "-qec",
      `stty cols 80 rows 24; stty -g; ${line}; echo "code $?"; stty -g`,
      "/dev/null",
    ],
    {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      env: { ...process.env, TERM: "xterm-256color" },
    },
  );
  let text = "";
  const decoder = new TextDecoder();
  let typed = false;
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (typed || !text.includes("q ends")) continue;
    typed = true;
    void child.stdin.write(keys);
    void child.stdin.flush();
  }
  await child.exited;
  return text;
}

testUnless(Bun.which("script") ? undefined : "util-linux's script is not there")(
  "q and Ctrl-C end it, and the terminal is as it was",
  async () => {
    for (const keys of ["q", "\u0003"]) {
      const text = await inTerminal(keys);
      const modes = text.match(/^[0-9a-f]+(?::[0-9a-f]+){10,}\r?$/gm) ?? [];
      expect(modes).toHaveLength(2);
      expect(modes[1]).toBe(modes[0] ?? "");
      expect(text).toContain("code 0");
      const [entered, left] = [text.indexOf("\u001b[?1049h"), text.indexOf("\u001b[?1049l")];
      expect(entered).toBeGreaterThan(0);
      expect(left).toBeGreaterThan(entered);
      expect(text.lastIndexOf("\u001b[?25h")).toBeGreaterThan(text.lastIndexOf("\u001b[?25l"));
      expect(text.slice(entered, left)).toContain("All is well");
      // 24 rows: the picture never scrolls
      const picture = text.slice(entered, left).split("\u001b[H")[1] ?? "";
      expect(picture.split("\r\n").length).toBeLessThanOrEqual(24);
    }
  },
  30_000,
);

test("without a terminal it says once how the host is, in plain text, and ends", async () => {
  const child = Bun.spawn(argv(), { stdout: "pipe", stderr: "pipe" });
  const [text, code] = [await new Response(child.stdout).text(), await child.exited];
  expect(code).toBe(0);
  expect(text).toStartWith("All is well");
  expect(text).not.toContain("\u001b");
  const json = Bun.spawnSync(argv("--json"));
  expect(JSON.parse(json.stdout.toString())).toMatchObject({
    schema: 1,
    hosts: [{ reach: "here", watch: { engine: { state: "up" } } }],
  });
}, 30_000);

test("--again leaves the wish; where no watcher ever ran it says so", () => {
  expect(Bun.spawnSync(argv("--again")).exitCode).toBe(0);
  expect(Bun.file(join(home, "runtime", "state", "watch-again")).size).toBe(0);
  const empty = mkdtempSync(join(tmpdir(), "shelter-none-"));
  const ran = Bun.spawnSync([process.execPath, shelter, "watch", "--again", "--home", empty]);
  expect(ran.exitCode).toBe(11);
  expect(ran.stderr.toString()).toContain("no watcher has run");
  rmSync(empty, { recursive: true });
}, 30_000);

test("--allow-command allows what shared.cfg names now, and nothing else; where it names nothing it says so", () => {
  const own = mkdtempSync(join(tmpdir(), "shelter-allow-"));
  const allow = () =>
    Bun.spawnSync([process.execPath, shelter, "watch", "--allow-command", "--home", own]);
  const none = allow();
  expect(none.exitCode).toBe(11);
  expect(none.stderr.toString()).toContain("names none");
  writeFileSync(join(own, "shared.cfg"), 'alerts: {command: [/usr/bin/tell, "a b"]}\n');
  const ran = allow();
  expect(ran.exitCode).toBe(0);
  expect(ran.stdout.toString()).toContain('["/usr/bin/tell","a b"]');
  const probe = createProbe(thisMachine(), own, "any");
  expect(isCommandAllowed(probe, ["/usr/bin/tell", "a b"])).toBe(true);
  expect(isCommandAllowed(probe, ["/usr/bin/tell", "a", "b"])).toBe(false);
  rmSync(own, { recursive: true });
}, 30_000);
