/** Real processes: what a killed run's builder had started is ended by the next run, and nobody else's is. */
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noteBuilders, untilAlone } from "../../../lib/llm/build/left_behind.ts";
import { createAct } from "../../../lib/machine/act.ts";
import { thisMachine } from "../../../lib/machine/machine.ts";
import { createProbe } from "../../../lib/machine/probe.ts";
import { SILENT } from "../../support/run.ts";

const undo: (() => void)[] = [];
afterEach(() => undo.splice(0).forEach((one) => one()));

function place() {
  const home = mkdtempSync(join(tmpdir(), "shelter-builders-"));
  undo.push(() => rmSync(home, { recursive: true, force: true }));
  const tree = join(home, "tree");
  mkdirSync(join(tree, "sub"), { recursive: true });
  const machine = thisMachine();
  const probe = createProbe(machine, home, "testhost");
  const context = {
    ...{ probe, act: createAct(machine, probe), say: SILENT },
    signal: new AbortController().signal,
  };
  /** A builder with a compiler below it, in `cwd`; gives both numbers. */
  const build = async (cwd: string) => {
    const child = machine.spawn(["sh", "-c", "cd sub; sleep 300 & echo $!; wait"], {
      cwd,
      env: machine.environment,
    });
    const heard = Promise.withResolvers<number>();
    child.onOutput((_, chunk) => heard.resolve(Number(new TextDecoder().decode(chunk))));
    const compiler = await heard.promise;
    undo.push(() => child.kill("SIGKILL"));
    return { leader: child.pid, compiler, child };
  };
  return { context, tree, build };
}

const lives = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const gone = async (pid: number) => {
  for (let tries = 0; tries < 100 && lives(pid); tries++) await Bun.sleep(20);
  return !lives(pid);
};

test("what a builder had started is ended after the builder itself was killed", async () => {
  const { context, tree, build } = place();
  const { leader, compiler } = await build(tree);
  noteBuilders(context, tree, leader);
  process.kill(leader, "SIGKILL"); // as the kernel does when we are killed
  expect(await gone(leader)).toBe(true);
  expect(lives(compiler)).toBe(true);
  await untilAlone(context, tree);
  expect(await gone(compiler)).toBe(true);
});

test("another's session, another place and a record of another boot end nobody", async () => {
  const { context, tree, build } = place();
  const ours = await build(tree);
  const other = await build(tree);
  noteBuilders(context, tree, other.leader);
  await context.act.run(["true"]);
  const { boot, ...record } = JSON.parse(context.probe.text(join(tree, "builders.json")) ?? "") as {
    boot: string;
    leader: number;
  };
  const keep = (change: object) =>
    context.act.write(join(tree, "builders.json"), JSON.stringify({ boot, ...record, ...change }));
  for (const change of [{ boot: "another" }, { started: "1" }, { leader: "x" }]) {
    keep(change);
    await untilAlone(context, tree);
    expect([change, lives(ours.compiler), lives(other.compiler)]).toEqual([change, true, true]);
  }
  keep({});
  await untilAlone(context, join(tree, "sub", "nowhere"));
  expect(lives(other.compiler)).toBe(true);
  await untilAlone(context, tree);
  expect(await gone(other.compiler)).toBe(true);
  expect(lives(ours.compiler)).toBe(true);
});
