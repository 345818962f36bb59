/** `up` on a bare host with sudo and no network: what a plain user is asked at a terminal, and what happens at yes, no, Ctrl-C and where there is no terminal. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { linkSync } from "node:fs";
import { join, resolve } from "node:path";
import { bootHost, type LabHost, type Said } from "./host.ts";

const BIN = process.env["SHELTER_TEST_BIN"] ?? resolve(import.meta.dir, "../../bin");
const USER = "rc";
const PASSWORD = "a stove and 7 bunks";
const HOME = `/home/${USER}/.mountain_shelter`;

let host: LabHost;
beforeAll(async () => {
  host = await bootHost({ name: "shadow", release: "bookworm", include: ["sudo"], user: USER });
  const names = ["shelter", "01_validate_prereqs"];
  host.copyIn(join(BIN, "shelter"), "usr/local/bin/shelter");
  for (const name of names.slice(1)) {
    linkSync(join(host.root, "usr/local/bin/shelter"), join(host.root, "usr/local/bin", name));
  }
  await asRoot("bash", "-c", `printf '%s' '${USER}:${PASSWORD}' | chpasswd`);
  await asRoot("usermod", "--append", "--groups", "sudo", USER);
}, 1_200_000);
afterAll(async () => {
  await host?.stop();
}, 120_000);

async function asRoot(...argv: readonly string[]): Promise<string> {
  const said = await host.run(argv);
  expect({ argv, ...said }).toMatchObject({ argv, code: 0 });
  return said.stdout;
}

/** A person at a terminal of the host's own: runs $1 there, and for each pair that follows waits until the first is on the screen and types the second. */
const PERSON = `
set -u
folder=$(mktemp -d) && mkfifo "$folder/keys"
command="stty cols 100 rows 40 && exec $1" # else the terminal has no width, and a question is drawn letter by letter
script --quiet --return --flush --command "$command" "$folder/screen" <"$folder/keys" >/dev/null &
exec 3>"$folder/keys"
shift
while [ $# -gt 0 ]; do
  for _ in $(seq 200); do grep --quiet --text --fixed-strings -- "$1" "$folder/screen" && break; sleep 0.1; done
  sleep 0.5 # a question is on the screen before its keys are read
  printf '%b' "$2" >&3
  shift 2
done
wait $!
code=$?
cat "$folder/screen"
exit $code`;

/** What stood on the screen in the end, without colours and carriage returns. */
async function atTerminal(...typed: readonly (readonly [sees: string, types: string])[]) {
  const said = await host.run(["bash", "-c", PERSON, "person", "shelter up", ...typed.flat()], {
    as: USER,
    env: { TERM: "xterm" },
  });
  return { code: said.code, screen: Bun.stripANSI(said.stdout).replaceAll("\r", "") };
}

/** The one line, as it stands alone on a line of its own. */
const LINE = /^ +sudo sh -c 'apt-get update && apt-get install .*\bcmake\b.*'$/gm;
const QUESTION = "Install it now?";
const asked = () => host.run(["journalctl", "--quiet", "--identifier=sudo", "--output=cat"]);

test("without a terminal it prints the one line and stops, and nobody is asked", async () => {
  const said: Said = await host.run(["shelter", "up"], { as: USER });
  expect(said.code).toBe(11);
  expect(said.stdout.match(LINE)?.length).toBe(1);
  expect(said.stdout + said.stderr).not.toContain(QUESTION);
  expect((await asked()).stdout).toBe("");
}, 120_000);

test("at a no it stops with the same line, and sudo was not called", async () => {
  const { code, screen } = await atTerminal([QUESTION, "n"]);
  expect(code).toBe(11);
  expect(screen.match(LINE)?.length).toBe(1);
  expect(screen).not.toContain("password for");
  expect((await asked()).stdout).toBe("");
}, 120_000);

test("Ctrl-C at the question, and at sudo's, is an interrupt", async () => {
  expect((await atTerminal([QUESTION, "\\x03"])).code).toBe(130);
  const { code, screen } = await atTerminal([QUESTION, "\\r"], ["password for", "\\x03"]);
  expect(code).toBe(130);
  expect(screen).not.toContain("Left open");
}, 120_000);

test("at a yes sudo gets the typed password, and what root leaves in the home is its owner's", async () => {
  const { code, screen } = await atTerminal([QUESTION, "y"], ["password for", `${PASSWORD}\\r`]);
  // no network here, so apt fails, as root: up ends with the line to type
  expect(screen).toContain("Installing");
  expect(screen).not.toContain("Sorry, try again");
  expect(screen).not.toContain(PASSWORD);
  expect(screen.match(LINE)?.length).toBe(1);
  expect(code).toBe(11);
  expect((await asked()).stdout).toContain("COMMAND=/usr/local/bin/shelter 01_validate_prereqs");
  const strangers = ["find", HOME, "!", "-user", USER, "-o", "-perm", "/077", "!", "-type", "l"];
  expect(await asRoot(...strangers)).toBe("");
}, 300_000);
