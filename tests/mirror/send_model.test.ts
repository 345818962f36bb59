/** Sending a model: from where it was cut off, never a file that is another by now, and never to a peer that takes nothing. */
import { afterEach, expect, test } from "bun:test";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { sendModel } from "../../lib/mirror/send_model.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeProgram,
  type FakeWorld,
} from "../support/fake_machine.ts";
import { trustOf } from "../support/mirror_world.ts";
import { SILENT } from "../support/run.ts";

const HASH = "a".repeat(64);
const STORE = `${FAKE_HOME}/models/sha256/${HASH}`;
const MODEL = { sha256: HASH, bytes: 10, names: [] };
const peer = trustOf("shadow", "");
const connection = { argv: ["ssh"], close: () => undefined };
const said = (bytes: number) => `{"schema":1,"bytes":${bytes}}\n`;

let at: FakeWorld;
afterEach(() => at.dispose());

/** What the peer was asked and given, where `there` bytes came in earlier tries; `takes` is its part while the model comes. */
function sending(there: number, takes: FakeProgram, onArrived?: () => void) {
  const asked: string[] = [];
  const given: string[] = [];
  at = fakeMachine({
    files: { [STORE]: "0123456789" },
    programs: {
      ssh: (argv, world, options, killed) => {
        const words = argv.slice(argv.indexOf("--") + 2);
        asked.push(words.join(" "));
        if (words[0] === "arrived") {
          onArrived?.();
          return { stdout: said(there) };
        }
        given.push(options.input ?? "");
        return takes(argv, world, options, killed);
      },
    },
  });
  const probe = createProbe(at.machine, FAKE_HOME, "testhost");
  const progress: (readonly [number, number])[] = [];
  const context = {
    ...{ probe, act: createAct(at.machine, probe) },
    say: {
      ...SILENT,
      progress: (_: string, done: number, total: number) => progress.push([done, total]),
    },
    signal: new AbortController().signal,
  };
  return { asked, given, progress, context };
}

test("it goes on from what came, and anew where more came than there is", async () => {
  for (const [there, from] of [
    [0, 0],
    [4, 4],
    [10, 10],
    [11, 0],
  ] as const) {
    const { asked, given, context } = sending(there, () => ({ stdout: said(10) }));
    await sendModel(context, peer, connection, MODEL);
    expect(asked).toEqual([`arrived ${HASH}`, `model ${HASH} 10 ${from}`]);
    expect(given).toEqual(["0123456789".slice(from)]);
    at.dispose();
  }
});

test("a peer that said what it has is not asked again, unless it has less by now", async () => {
  for (const [came, from] of [
    [0, 0],
    [4, 4],
    [11, 0],
  ] as const) {
    const { asked, given, context } = sending(99, () => ({ stdout: said(10) }));
    await sendModel(context, peer, connection, MODEL, { came });
    expect(asked).toEqual([`model ${HASH} 10 ${from}`]);
    expect(given).toEqual(["0123456789".slice(from)]);
    at.dispose();
  }
  const less = sending(3, (argv) =>
    argv.at(-1) === "7"
      ? { code: 11, stderr: "✗ taking the model: it holds fewer than 7 bytes" }
      : { stdout: said(10) },
  );
  await sendModel(less.context, peer, connection, MODEL, { came: 7 });
  expect(less.asked).toEqual([`model ${HASH} 10 7`, `arrived ${HASH}`, `model ${HASH} 10 3`]);
  expect(less.given.at(-1)).toBe("3456789");
  at.dispose();
  const full = sending(3, () => ({ code: 11, stderr: "✗ taking the model: the disk is full" }));
  await expect(sendModel(full.context, peer, connection, MODEL, { came: 7 })).rejects.toMatchObject(
    { id: "peer-disk-full" },
  );
  expect(full.asked).toEqual([`model ${HASH} 10 7`]);
});

test("a file that is gone or of another size by now is not sent: the commit finds that out", async () => {
  for (const change of [
    () => at.remove(STORE),
    () => at.write(STORE, "0123456789 and more"),
    () => at.write(STORE, "01234"),
  ]) {
    const { given, context } = sending(
      0,
      () => ({ stdout: said(10) }),
      () => change(),
    );
    await sendModel(context, peer, connection, MODEL);
    expect(given).toEqual([]);
    at.dispose();
  }
});

test("a peer that takes nothing is given up, also one that goes on talking; one that is slow is not", async () => {
  const hangs: FakeProgram = async (_, __, ___, killed) => {
    await Promise.race([killed, Bun.sleep(2000)]);
    return { code: 143 };
  };
  const silent = sending(0, hangs);
  await expect(
    sendModel(silent.context, peer, connection, MODEL, { patience: 100 }),
  ).rejects.toMatchObject({
    id: "peer-stalls",
    why: "shadow takes nothing: for 100 ms no byte of the model went on",
  });
  at.dispose();
  const talking = sending(0, () => ({ stdout: said(3) }));
  const { act } = talking.context;
  /** A peer that says `sizes`, one each 60 ms, and then ends. */
  const saying = (sizes: readonly number[]): typeof act.run => {
    return async (argv, options) => {
      if (argv.includes("arrived")) return act.run(argv, options);
      options?.onStart?.(1);
      for (const size of sizes) {
        await Bun.sleep(60);
        if (options?.signal?.aborted === true) break;
        options?.onLine?.(said(size).trim(), "stdout");
      }
      const code = options?.signal?.aborted === true ? 143 : 0;
      return { code, stdout: "", stderr: "", timedOut: false };
    };
  };
  const to = (sizes: readonly number[]) =>
    sendModel(
      { ...talking.context, act: { ...act, run: saying(sizes) } },
      ...([peer, connection, MODEL, { patience: 100 }] as const),
    );
  await expect(to([3, 3, 3, 3, 3, 3])).rejects.toMatchObject({ id: "peer-stalls" });
  await to([1, 2, 3, 4, 999]);
  // what it says of a size that can't be is not shown
  expect(talking.progress.at(-1)).toEqual([10, 10]);
});
