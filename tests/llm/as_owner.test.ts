/** Under sudo an engine and its tools are the home's owner's processes, not root's. */
import { expect, test } from "bun:test";
import { asOwner } from "../../lib/llm/as_owner.ts";
import { runBench } from "../../lib/llm/bench/llama_bench.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { USUAL_PROFILE } from "../support/profile.ts";
import { SILENT } from "../support/run.ts";

const OWNER = 54_321;
const keep = keptForEachTest();

function seenBy(me: { readonly uid: number; readonly root: boolean }, passwd = "") {
  const world = keep(fakeMachine({ me, files: { "/etc/passwd": passwd } }));
  const probe = {
    ...createProbe(world.machine, FAKE_HOME, "h"),
    owner: { uid: OWNER, gid: OWNER },
  };
  return { world, probe, act: createAct(world.machine, probe) };
}

test("the owner's further groups come along where the system knows them: a GPU is often the group render's", () => {
  const { probe, act } = seenBy(
    { uid: 0, root: true },
    `op:x:${OWNER}:${OWNER}::/home/op:/bin/sh\n`,
  );
  expect(asOwner(probe, act).argv).toContain("--init-groups");
  const unknown = seenBy({ uid: 0, root: true });
  expect(asOwner(unknown.probe, unknown.act).argv).toContain("--clear-groups");
});

test("a user is who they are, and so is root in a home of its own", () => {
  const user = seenBy({ uid: OWNER, root: false });
  expect(asOwner(user.probe, user.act)).toEqual({ argv: [], env: {} });
  const root = seenBy({ uid: OWNER, root: true });
  expect(asOwner(root.probe, root.act)).toEqual({ argv: [], env: {} });
});

test("llama-bench runs so", async () => {
  const { world, probe, act } = seenBy({ uid: 0, root: true });
  const context = { probe, act, say: SILENT, signal: new AbortController().signal };
  const build = { id: "b", folder: "/opt/b", program: (name: string) => `/opt/b/bin/${name}` };
  const model = { name: "m", path: "/models/m.gguf" };
  await runBench(context, build, model, USUAL_PROFILE, { prompt: 1, generate: 1 }, 1).catch(
    () => undefined,
  );
  expect(world.started[0]?.slice(0, 2)).toEqual(["setpriv", `--reuid=${OWNER}`]);
});
