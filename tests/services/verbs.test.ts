/** Asking root: over a real unix socket, with each thing that can be wrong on the other side. */
import { afterAll, afterEach, expect, test } from "bun:test";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { ACT_SOCKET, askRoot, verbOf, VERBS } from "../../lib/services/verbs.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";

const world = fakeMachine({ files: { "/run": { folder: true } } });
const act = createAct(world.machine, createProbe(world.machine, FAKE_HOME, "testhost"));
let stop = () => undefined as void;
afterEach(() => stop());
afterAll(() => world.dispose());

/** Listens as root's side would, and answers with `answer`. */
function root(answer: (asked: string) => string) {
  const heard: string[] = [];
  world.remove(ACT_SOCKET);
  const server = Bun.listen({
    unix: world.path(ACT_SOCKET),
    socket: {
      data(socket, data) {
        heard.push(data.toString());
        socket.end(answer(data.toString()));
      },
    },
  });
  stop = () => server.stop(true);
  return heard;
}

test("one line with the verb goes there, and ok ends well", async () => {
  const heard = root(() => "ok\n");
  for (const verb of VERBS) await askRoot(act, verb);
  expect(heard).toEqual(VERBS.map((verb) => `${verb}\n`));
});

test("root's reason is said", async () => {
  root(() => "there is no earlier build\n");
  await expect(askRoot(act, "previous-engine")).rejects.toMatchObject({
    id: "root-refused",
    why: "there is no earlier build",
  });
});

test("nobody there, silence and a flood are errors", async () => {
  world.remove(ACT_SOCKET);
  await expect(askRoot(act, "restart-engine")).rejects.toMatchObject({ id: "root-absent" });
  root(() => "x".repeat(100_000));
  await expect(askRoot(act, "restart-engine")).rejects.toMatchObject({
    id: "root-absent",
    why: "the answer is too long",
  });
  stop();
  root(() => "");
  await expect(askRoot(act, "restart-engine")).rejects.toMatchObject({ id: "root-refused" });
});

test("only the words of the list are verbs", () => {
  expect(verbOf("restart-engine\n")).toBe("restart-engine");
  for (const text of ["", "restart-engine x", "RESTART-ENGINE", "toString", "stop-gateway"]) {
    expect(verbOf(text)).toBeUndefined();
  }
});
