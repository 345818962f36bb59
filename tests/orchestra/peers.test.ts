/** `status` of both hosts: alive, and gone with what is left of it. */
import { describe, expect, test } from "bun:test";
import { peerLines } from "../../lib/orchestra/peers_lines.ts";
import type { PeerView } from "../../lib/orchestra/peers_view.ts";
import { status } from "../../lib/orchestra/status.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { Args } from "../../lib/unit.ts";
import { unit as scaffold } from "../../scripts/02_scaffold_dirs.ts";
import { FAKE_HOME, type FakeMachineOptions, type FakeWorld } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";
import { sshTo, twoWorlds } from "../support/two_worlds.ts";

const keep = keptForEachTest();

/** Two homes; `power` says whether shadow is there. */
async function homes(options: FakeMachineOptions = {}) {
  const power = { on: true, why: "ssh: connect to host 192.0.2.2 port 22: No route to host" };
  const worlds = twoWorlds(
    {
      programs: {
        ssh: (...one) =>
          power.on
            ? sshTo(worlds.shadow, "shadow", "phantom")(...one)
            : { code: 255, stderr: power.why },
      },
    },
    options,
  );
  keep(worlds);
  await runOn(worlds.phantom, scaffold, { host: "phantom" });
  await runOn(worlds.shadow, scaffold, { host: "shadow" });
  return { ...worlds, power };
}
async function look(world: FakeWorld, want: Args = {}) {
  const probe = createProbe(world.machine, FAKE_HOME, "phantom");
  const place = { home: FAKE_HOME, host: "phantom" };
  const spoken = await status({ machine: world.machine, place, probe, want, units: {} });
  const { peers = [], peer } = spoken.json as unknown as { peers?: PeerView[]; peer?: PeerView };
  const view = peer ?? peers[0];
  if (!view) throw new Error("no peer is shown");
  return { view, text: spoken.lines.join("\n"), exit: spoken.exit };
}
const watch = (state: object) => ({
  ...{ schema: 1, host: "phantom", boot: "b", others: [], mirror: {}, power: {}, health: [] },
  ...{ at: new Date().toISOString(), since: "2026-02-01T00:00:00.000Z", alerts: [], halted: [] },
  ...{ engine: { state: "up", since: "2026-02-01T00:00:00.000Z", restarts: 0 } },
  ...{ gateway: { state: "up", since: "2026-02-01T00:00:00.000Z", restarts: 0 } },
  ...state,
});

test("a living host shows its own board, live, and what its watcher says", async () => {
  const { phantom, shadow } = await homes();
  const alerts = [
    {
      id: "disk",
      level: "warn",
      since: "2026-02-01T00:00:00.000Z",
      count: 1,
      what: "3 % are free",
    },
  ];
  shadow.write(
    `${FAKE_HOME}/runtime/state/watch.json`,
    JSON.stringify(watch({ host: "shadow", alerts })),
  );
  const { view, text, exit } = await look(phantom);
  expect(view).toMatchObject({ name: "shadow", state: "up", source: "live", stale: [], works: [] });
  expect(view.scripts.find((one) => one.script === "02_scaffold_dirs")?.standing).toBe("done");
  expect(text).toContain("shadow answers: engine up, gateway up");
  expect(text).toContain("alert: 3 % are free");
  expect(exit).toBe(0);
  const whole = await look(phantom, { host: "shadow" });
  expect(whole.text).toMatch(/✓ 02_scaffold_dirs +done/);
});

describe("a host that is gone", () => {
  test("is shown by its last word: when it was last heard, what is stale, what still works", async () => {
    const { phantom, power } = await homes();
    const before = (await look(phantom)).view;
    power.on = false;
    const { view, text } = await look(phantom);
    expect(view).toMatchObject({ state: "down", source: "last contact", scripts: before.scripts });
    expect(Math.abs(Date.parse(view.last_seen ?? "") - Date.now())).toBeLessThan(10_000);
    expect(text).toContain("shadow is down; it last answered at");
    expect(text).toContain("No route to host");
    expect(view.stale.join()).toContain("nothing of it was ever mirrored here");
    expect(view.works.join()).toContain("all scripts on this host");
    expect(view.missing.join()).toContain("carried over to nobody");
  });

  test("is gone since the watcher noticed", async () => {
    const { phantom, power } = await homes();
    power.on = false;
    const down = { since: "2026-02-01T10:00:00.000Z", lastSeen: "2026-02-01T09:59:00.000Z" };
    const peer = { name: "shadow", state: "down", ...down };
    phantom.write(`${FAKE_HOME}/runtime/state/watch.json`, JSON.stringify(watch({ peer })));
    const { view, text } = await look(phantom);
    expect(view).toMatchObject({ state: "down", since: down.since, last_seen: down.lastSeen });
    expect(text).toContain("shadow is down since 2026-02-01T10:00:00Z");
    // a watcher that fell silent itself knows nothing of now
    const old = watch({ peer, at: "2026-02-01T10:01:00.000Z" });
    phantom.write(`${FAKE_HOME}/runtime/state/watch.json`, JSON.stringify(old));
    expect((await look(phantom)).view.since).toBeUndefined();
  });

  test("is shown by what arrived from it, where that is younger", async () => {
    const { phantom, shadow, power } = await homes();
    power.on = false;
    const kept = `${FAKE_HOME}/runtime/mirror/shadow`;
    for (const name of ["dirs_scaffolded"]) {
      const text = shadow.read(`${FAKE_HOME}/status/shadow/${name}.json`);
      phantom.write(`${kept}/g1/status/shadow/${name}.json`, text);
    }
    phantom.write(`${kept}/current`, { link: "g1" });
    phantom.write(`${FAKE_HOME}/status/shadow`, {
      link: "../runtime/mirror/shadow/current/status/shadow",
    });
    const { view } = await look(phantom);
    expect(view.source).toBe("mirror");
    expect(view.scripts.find((one) => one.script === "02_scaffold_dirs")?.standing).toBe("done");
    expect(view.stale.join()).toContain("what was mirrored from it is");
  });

  test("is not called gone where something answers that may be another", async () => {
    const { phantom, power } = await homes();
    Object.assign(power, { on: false, why: "Host key verification failed." });
    const { view, text } = await look(phantom);
    const fix = ["./bin/shelter", "pair", "shadow", "--anew"];
    expect(view).toMatchObject({ state: "unknown", fix });
    expect(text).toContain("another host key");
  });
});

test("a clock that is apart is said", async () => {
  const { phantom } = await homes({ now: () => Date.now() - 3_600_000 });
  const { view, text } = await look(phantom);
  expect(Math.round((view.clock_off_ms ?? 0) / 60_000)).toBe(-60);
  expect(text).toContain("behind this host's");
});

test("what a host says of itself can't drive the terminal", () => {
  const view: PeerView = {
    ...{ name: "shadow", state: "up", source: "live", as_of: "2026-02-01T00:00:00.000Z" },
    ...{ scripts: [{ script: "02_scaffold_dirs", standing: "failed", why: "\u001b[2J" }] },
    ...{ running: ["\u001b]0;x\u0007"], stale: [], works: [], missing: [] },
    alerts: [
      { id: "a", level: "fail", since: "2026-02-01T00:00:00.000Z", count: 1, what: "\u001b[31m" },
    ],
  };
  expect(peerLines(view, 0).join("\n")).not.toContain("\u001b");
});
