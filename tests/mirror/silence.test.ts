/** A peer that says nothing, or never stops: each request and each rsync has its limit. */
import { expect, test } from "bun:test";
import { appendFileSync } from "node:fs";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { RunOptions } from "../../lib/machine/process.ts";
import { fetchFile, sendFiles } from "../../lib/mirror/send.ts";
import { ask, connect } from "../../lib/mirror/talk.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeProgram,
  type FakeWorld,
} from "../support/fake_machine.ts";
import { trustOf } from "../support/mirror_world.ts";
import { SILENT } from "../support/run.ts";
import { keptForEachTest } from "../support/kept.ts";

const keep = keptForEachTest();
const peer = trustOf("shadow", "");
const connection = { argv: ["ssh"], close: () => undefined };
const world = (rsync: FakeProgram) => keep(fakeMachine({ programs: { rsync } }));
const MINUTE = 60_000;

function contextOf(at: FakeWorld) {
  const probe = createProbe(at.machine, FAKE_HOME, "testhost");
  const act = createAct(at.machine, probe);
  return { probe, act, say: SILENT, signal: new AbortController().signal };
}

test("no request waits for ever, and one that takes reading may take longer", async () => {
  let seen: RunOptions | undefined;
  const hands = {
    real: (path: string) => path,
    run: (_: readonly string[], options?: RunOptions) => {
      seen = options;
      return Promise.resolve({ code: 255, stdout: "", stderr: "", timedOut: true });
    },
  };
  const answer = ask(hands, ["ssh"], peer, ["back", "00000001"]);
  expect(await answer.catch((one: unknown) => one)).toMatchObject({ id: "peer-unreachable" });
  expect(seen?.timeout).toBe(10 * MINUTE);
  await ask(hands, ["ssh"], peer, ["commit"], { reads: 60e9 }).catch(() => undefined);
  expect(seen?.timeout).toBe(110 * MINUTE);
});

test("every rsync gives up on a peer that is silent", async () => {
  const lines: (readonly string[])[] = [];
  const at = world((argv) => {
    lines.push(argv);
    return {};
  });
  const context = contextOf(at);
  await sendFiles(context, peer, connection, {
    ...{ from: FAKE_HOME, paths: ["a"], to: "00000001.partial/", last: null },
    ...{ anew: false, label: "" },
  });
  // what the owner alone may do anyway: else a file with more would be copied anew over there each time
  expect(lines[0]).toContain("--chmod=go=");
  await fetchFile(context, peer, connection, "offer/x", `${FAKE_HOME}/x`, 1);
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toContain("--timeout=60");
});

test("what a peer sends beyond the model that was asked for is cut off, and goes", async () => {
  const to = `${FAKE_HOME}/part`;
  const over = new AbortController();
  const at = world(async (argv, _, __, killed) => {
    void killed?.then(() => over.abort());
    while (!over.signal.aborted) {
      appendFileSync(argv.at(-1) ?? "", "x".repeat(1000));
      await Bun.sleep(20);
    }
    return { code: 20 };
  });
  at.write(to, "");
  const fetched = fetchFile(contextOf(at), peer, connection, "offer/x", to, 5000);
  expect(await fetched.catch((one: unknown) => one)).toMatchObject({ id: "too-long" });
  expect(over.signal.aborted).toBe(true);
  expect(at.exists(to)).toBe(false);
}, 20_000);

test("a disk that can't be looked at while a model is fetched ends nothing but the fetching", async () => {
  const at = world(async () => {
    await Bun.sleep(1300);
    return { code: 11, stderr: "rsync: read error: Input/output error (5)" };
  });
  const context = contextOf(at);
  const stat = () => {
    throw Object.assign(new Error("EIO: i/o error, lstat"), { code: "EIO" });
  };
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on("uncaughtException", note);
  try {
    const failing = { ...context, probe: { ...context.probe, stat } };
    const fetched = fetchFile(failing, peer, connection, "offer/x", `${FAKE_HOME}/part`, 5000);
    expect(await fetched.catch((one: unknown) => one)).toMatchObject({ id: "peer-refused" });
  } finally {
    process.off("uncaughtException", note);
  }
  expect(unhandled).toEqual([]);
}, 20_000);

test("Ctrl-C while the connection comes up ends what was to make it", async () => {
  let gone = false;
  const stop = new AbortController();
  const at = keep(
    fakeMachine({
      programs: {
        ssh: async (_, __, ___, killed) => {
          stop.abort(new Error("Ctrl-C"));
          await Promise.race([killed?.then(() => (gone = true)), Bun.sleep(2000)]);
          return { code: 255 };
        },
      },
    }),
  );
  const connecting = connect({ ...contextOf(at), signal: stop.signal }, peer);
  await expect(connecting).rejects.toThrow("Ctrl-C");
  await Bun.sleep(50);
  expect(gone).toBe(true);
});
