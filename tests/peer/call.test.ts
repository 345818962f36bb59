/** `--host NAME`: what comes back from the other host, whatever it is. */
import { describe, expect, test } from "bun:test";
import { Interrupted } from "../../lib/errors.ts";
import { boundedLines, LINE_LIMIT, TALK_LIMIT } from "../../lib/peer/bounded_lines.ts";
import { runOnPeer } from "../../lib/peer/call.ts";
import { releaseLine } from "../../lib/peer/operator.ts";
import { forThePeer } from "../../lib/cli/elsewhere.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeProgram,
  type FakeWorld,
} from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { offerOf, trusts, twoWorlds } from "../support/two_worlds.ts";

const keep = keptForEachTest();

async function run(
  world: FakeWorld,
  argv: readonly string[] = [],
  signal = new AbortController().signal,
  script = "00_check_structure",
) {
  const out: string[] = [];
  const err: string[] = [];
  const place = { home: FAKE_HOME, host: "phantom", peer: "shadow" };
  const code = await runOnPeer(
    { machine: world.machine, ...place, script, argv },
    { out: (line) => out.push(line), err: (line) => err.push(line) },
    signal,
  ).catch((error: unknown) => error);
  return { code, out, err };
}

function reaching(ssh: FakeProgram): FakeWorld {
  const world = keep(fakeMachine({ programs: { ssh } }));
  trusts(world, offerOf("shadow"));
  return world;
}

test("the script and its flags arrive over the operator's key, and what it says comes back", async () => {
  const worlds = keep(twoWorlds());
  const argv = ["--plan", "--feature", "a b;$(id)"];
  expect(await run(worlds.phantom, argv, undefined, "01_validate_prereqs")).toEqual({
    code: 0,
    out: ["01_validate_prereqs --plan --feature a b;$(id)"],
    err: [],
  });
  const line = worlds.phantom.started[0] ?? [];
  expect(line.join(" ")).toContain("/identity/operator ");
  expect(line.slice(line.indexOf("--") + 1)).toEqual(["op@192.0.2.2", "carry-out"]);
});

/** A host whose script begins, and then is like this. */
const begun = (ran: { code?: number; stdout?: string; stderr?: string }) => ({
  ...ran,
  stderr: `shelter begins: ${releaseLine()}\n${ran.stderr ?? ""}`,
});

test.each([0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 130])(
  "exit code %d is the peer's",
  async (code) => {
    const { code: came, out } = await run(reaching(() => begun({ code, stdout: "one\ntwo" })));
    expect([came, out]).toEqual([code, ["one", "two"]]);
  },
);

describe("is told apart:", () => {
  test.each([
    [
      "host-key-changed",
      { code: 255, stderr: "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\n  remove with:" },
    ],
    ["peer-unreachable", { code: 255, stderr: "ssh: connect to host: No route to host" }],
    ["key-refused", { code: 255, stderr: "op@192.0.2.2: Permission denied (publickey)." }],
    [
      "needs-ssh",
      { code: 127, stderr: "setpriv: failed to execute ssh: No such file or directory" },
    ],
    ["peer-refused", { code: 11, stderr: "phantom is not paired with this host" }],
    ["peer-without-binaries", { code: 127, stderr: "sh: 1: shelter: not found" }],
    ["peer-other-release", { code: 11, stderr: "operator may not ask for carry-out" }],
  ])("%s", async (id, ran) => {
    expect((await run(reaching(() => ran))).code).toMatchObject({ id });
  });

  test("a key of this host's own that is gone: it is named, and the way to a new one; of a host that is not there at all ssh's reason is said", async () => {
    const warning = "Warning: Identity file /x/operator not accessible: No such file or directory.";
    const unread = 'Load key "/x/operator": Permission denied';
    const denied = `${warning}\nop@192.0.2.2: Permission denied (publickey).`;
    for (const stderr of [denied, denied.replace(warning, unread)]) {
      expect((await run(reaching(() => ({ code: 255, stderr })))).code).toMatchObject({
        id: "key-missing",
        why: "this host's own key for it is gone or can't be read: /x/operator",
        fix: ["./bin/shelter", "pair", "shadow", "--anew"],
      });
    }
    const away = `${warning}\nssh: connect to host 192.0.2.2 port 22: No route to host`;
    expect((await run(reaching(() => ({ code: 255, stderr: away })))).code).toMatchObject({
      id: "peer-unreachable",
      why: "shadow at 192.0.2.2 did not answer: ssh: connect to host 192.0.2.2 port 22: No route to host",
      fix: ["ssh", "-p", "22", "op@192.0.2.2"],
    });
  });

  test("a line that breaks while the script is at work, from one that was never there", async () => {
    const broke = { code: 255, stderr: "shelter begins: 9.9.9 abc\nFetching\nclient_loop: gone" };
    expect((await run(reaching(() => broke))).code).toMatchObject({
      id: "peer-lost",
      fix: ["./bin/shelter", "status", "--host", "shadow"],
    });
    expect((await run(reaching(() => broke))).err[0]).toBe(
      "shadow runs another release: 9.9.9 abc",
    );
    const timeout = "ssh: connect to host 192.0.2.2 port 22: Connection timed out";
    expect((await run(reaching(() => ({ code: 255, stderr: timeout })))).code).toMatchObject({
      id: "peer-unreachable",
    });
  });

  test("a host that this one is not paired with", async () => {
    const world = keep(fakeMachine());
    expect((await run(world)).code).toMatchObject({
      id: "not-paired",
      fix: ["./bin/shelter", "pair", "shadow"],
    });
  });
});

test("an interrupt is told to the other side, whose end is waited for", async () => {
  const stop = new AbortController();
  const world: FakeWorld = reaching(async () => {
    stop.abort(new Interrupted("SIGINT"));
    while (!world.told.includes("interrupt\n")) await Bun.sleep(1);
    return begun({ code: 130, stdout: "taken back" });
  });
  const { code, out, err } = await run(world, [], stop.signal);
  expect([code, out]).toEqual([130, ["taken back"]]);
  expect(err.join()).toContain("shadow is told to take it back");
});

test("an interrupt before anything was begun over there is one, whatever ssh says", async () => {
  const stop = new AbortController();
  const world = reaching(() => {
    stop.abort(new Interrupted("SIGINT"));
    return { code: 255, stderr: "ssh: connect to host: Connection timed out" };
  });
  expect((await run(world, [], stop.signal)).code).toBeInstanceOf(Interrupted);
});

test("a host that never stops talking is cut off", async () => {
  const chatter = "x".repeat(1023) + "\n";
  const world = reaching(() => ({ stdout: chatter.repeat(TALK_LIMIT / 1024 + 1) }));
  const { code, out } = await run(world);
  expect(code).toMatchObject({ id: "peer-endless" });
  expect(out.length).toBeLessThanOrEqual(TALK_LIMIT / 1024);
});

test("lines come whole whatever the pieces, and one without end is cut once", () => {
  const text = `é one\r\ntwo\n\n${"x".repeat(3 * LINE_LIMIT)}tail\nlast`;
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 7, 4096, LINE_LIMIT + 1, bytes.length]) {
    const heard: string[] = [];
    const lines = boundedLines((line) => heard.push(line));
    for (let at = 0; at < bytes.length; at += size) lines.take(bytes.subarray(at, at + size));
    lines.end();
    expect(heard.length).toBe(5);
    expect([size, heard[0], heard[1], heard[2], heard[4]]).toEqual([
      size,
      "é one",
      "two",
      "",
      "last",
    ]);
    expect(heard[3]?.length).toBeLessThan(LINE_LIMIT + 5);
    expect(heard[3]).toEndWith(" …");
  }
});

test("where it is and where its home is, the peer knows itself", () => {
  expect(forThePeer(["--host", "shadow", "--plan", "--home=/x", "--model", "m"])).toEqual([
    "--plan",
    "--model",
    "m",
  ]);
  expect(forThePeer(["--host=shadow", "--home", "/x", "--json"])).toEqual(["--json"]);
});
