/** The watcher on a booted host: each rung of the ladder cures what no rung below it does, nothing storms, and who watches the watcher. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { WatchState } from "../../lib/watch/state.ts";
import { bootHost, type LabHost } from "./host.ts";
import { ask, asRoot, giveBuildBefore, giveEngine, property } from "./served_host.ts";
import { HOME, PACKAGES, said, USER } from "./two_hosts.ts";

const ENGINE = "shelter-engine.service";
const WATCHER = "shelter-watch.service";
const TOP = "/usr/local/lib/mountain-shelter";
const STATE = `${HOME}/runtime/state/watch.json`;
/** What the operator's own command was told. */
const TOLD = `${HOME}/told.jsonl`;
/** What the desktop was told. */
const NOTIFIED = `${HOME}/notified`;

let host: LabHost;
let builds: { readonly live: string; readonly before: string };

beforeAll(async () => {
  host = await bootHost({ name: "shadow", release: "bookworm", include: PACKAGES, user: USER });
  await giveEngine(host, process.env["SHELTER_TEST_BIN"] ?? "bin");
  builds = await giveBuildBefore(host);
  await shell(
    `printf '#!/bin/sh\\ncat >>%s\\n' ${TOLD} >/usr/local/bin/tell-me && chmod 755 /usr/local/bin/tell-me`,
  );
  await shell(
    `echo 'alerts: {command: [/usr/local/bin/tell-me]}' >${HOME}/shared.cfg && chown ${USER}: ${HOME}/shared.cfg`,
  );
  const allowed = await host.run([`${HOME}/bin/shelter`, "watch", "--allow-command"], { as: USER });
  expect({ code: allowed.code, said: allowed.stderr }).toEqual({ code: 0, said: "" });
  // a desktop session, as far as the watcher looks at one
  await shell(
    `printf '#!/bin/sh\\necho "$@" >>%s\\n' ${NOTIFIED} >/usr/bin/notify-send && chmod 755 /usr/bin/notify-send`,
  );
  await shell("mkdir -p -m 755 /run/user/1000 && touch /run/user/1000/bus");
  const installed = await asRoot(host, "06_shadow_control", "--yes", "--json");
  const log =
    installed.code === 0 ? "" : await said(host, ["journalctl", "--no-pager", "-u", ENGINE]);
  expect({ code: installed.code, log }).toEqual({ code: 0, log: "" });
}, 1_200_000);
afterAll(async () => {
  await host?.stop();
}, 120_000);

/** Each test begins with a healthy engine and a watcher that remembers nothing. */
beforeEach(async () => {
  await said(host, ["systemctl", "stop", WATCHER]);
  await shell(`rm -f ${STATE} ${TOP}/engine/given-up`);
  await said(host, ["systemctl", "reset-failed"]);
  await said(host, ["systemctl", "restart", ENGINE]);
  await said(host, ["systemctl", "start", WATCHER]);
  await until(90, "a healthy host", async () => {
    const now = state();
    const { watched = 0, calmUntil = Infinity } = now?.memory ?? {};
    return now?.engine.state === "up" && watched >= calmUntil;
  });
}, 180_000);

const shell = (line: string) => said(host, ["sh", "-c", line]);

/** The watcher's state on disk. */
function state(): WatchState | undefined {
  try {
    return JSON.parse(readFileSync(join(host.root, STATE), "utf8")) as WatchState;
  } catch {
    return undefined;
  }
}

/** What the watcher did, by the journal: the text of each act, oldest first. */
function acts(): readonly string[] {
  const folder = join(host.root, HOME, "logs/journal/shadow");
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n"))
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { kind: string; script: string; steps: { text: string }[] })
    .filter(({ kind, script }) => kind === "begin" && script === "06_shelter_watch")
    .map(({ steps }) => steps[0]?.text ?? "");
}

async function until(
  seconds: number,
  what: string,
  holds: () => Promise<boolean> | boolean,
): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await Bun.sleep(500)) {
    if (await holds()) return;
  }
  const units = ["-u", "shelter-engine", "-u", "shelter-watch", "-u", "shelter-act@*"];
  const log = await host.run(["journalctl", "--no-pager", "-n", "80", ...units]);
  throw new Error(`not within ${seconds} s: ${what}\n${JSON.stringify(state())}\n${log.stdout}`);
}
const answers = async () => (await ask(host)).startsWith("200 ");
/** The engine as it runs for the services; the file is replaced, because a running program can't be written to. */
const breakBuild = (build: string) =>
  shell(
    `cd ${TOP}/engine/${build}/bin && cp -a llama-server llama-server.kept && cp /bin/false new && mv new llama-server`,
  );
const mendBuild = (build: string) =>
  shell(`cd ${TOP}/engine/${build}/bin && mv llama-server.kept llama-server`);
const killEngine = async () => said(host, ["kill", "-9", await property(host, ENGINE, "MainPID")]);

test("restart: an engine that is frozen, which systemd takes for a running one", async () => {
  const before = acts().length;
  const gateway = await property(host, "shelter-gateway.service", "MainPID");
  await said(host, ["pkill", "-STOP", "-x", "llama-server"]);
  await until(60, "a restart", () => acts().length > before);
  await until(60, "an answer", answers);
  expect(acts().slice(before)).toEqual([expect.stringMatching(/^restart the engine, because /)]);
  expect(await property(host, "shelter-gateway.service", "MainPID")).toBe(gateway);
  await until(30, "the count", () => state()?.engine.restarts === 1);
  // who is killed comes back with what it knew
  await said(host, ["kill", "-9", await property(host, WATCHER, "MainPID")]);
  const since = state()?.since;
  await until(60, "a new watcher", () => state()?.since !== since);
  expect(state()?.engine.restarts).toBe(1);
}, 240_000);

test("known fix: a damaged lock, which every restart finds again", async () => {
  const before = acts().length;
  await shell(`printf '{' >${HOME}/runtime/locks/engine.lock/holder.json`);
  await killEngine();
  await until(180, "the fix", () =>
    acts().some((text, at) => at >= before && /known fix/.test(text)),
  );
  await until(60, "an answer", answers);
  expect(
    acts()
      .slice(before)
      .map((text) => text.split(",")[0]?.split(":")[0]),
  ).toEqual(["restart the engine", "heal the engine by a known fix"]);
}, 300_000);

test("last good generation: a live build whose server is broken, with no fix for that", async () => {
  const before = acts().length;
  await breakBuild(builds.live);
  try {
    await killEngine();
    await until(240, "the build before", async () => {
      const given = await host.run(["cat", `${TOP}/engine/given-up`]);
      return given.stdout.trim() === builds.live;
    });
    await until(60, "an answer", answers);
    expect(acts().slice(before).at(-1)).toStartWith(
      "put the last good generation of the engine live",
    );
    expect(await said(host, ["pgrep", "-a", "-x", "llama-server"])).toContain(builds.before);
  } finally {
    await mendBuild(builds.live);
  }
}, 420_000);

test("halt: when nothing helps the watcher stops, says why, tells the operator, and hears of a new wish", async () => {
  const before = acts().length;
  await breakBuild(builds.live);
  await breakBuild(builds.before);
  try {
    await killEngine();
    await until(300, "the halt", () => (state()?.halted.length ?? 0) > 0);
    expect(state()?.halted[0]?.why).toMatch(/last good generation did not help$/);
    const done = acts().length;
    expect(done - before).toBeLessThanOrEqual(8);
    await until(30, "the operator's command", () =>
      told().some(({ alert }) => alert.id === "engine-halted"),
    );
    expect(await said(host, ["cat", NOTIFIED])).toContain("the engine is given up");
    const banner = await host.run([`${HOME}/bin/shelter`, "status"], { as: USER });
    expect(banner.stdout + banner.stderr).toContain("given up");
    await Bun.sleep(30_000);
    expect(acts().length).toBe(done);
    expect(await property(host, ENGINE, "ActiveState")).toBe("failed");
  } finally {
    await mendBuild(builds.live);
    await mendBuild(builds.before);
  }
  const again = await host.run([`${HOME}/bin/shelter`, "watch", "--again"], { as: USER });
  expect(again.stdout).toContain("engine");
  await until(90, "an answer", answers);
  await until(30, "no halt", () => state()?.halted.length === 0);
}, 600_000);

test("the count survives a cut of the host's power", async () => {
  await said(host, ["pkill", "-STOP", "-x", "llama-server"]);
  await until(60, "a restart", () => state()?.engine.restarts === 1);
  await until(60, "an answer", answers);
  // not the boot id: a unit's own /proc shows the machine's here, which nspawn hides from its host elsewhere
  const { since, memory } = state() ?? {};
  await host.cutPower();
  await host.powerOn();
  await until(90, "the next boot's watcher", () => state()?.since !== since);
  const after = state();
  expect(after?.engine.restarts).toBe(1);
  expect(after?.memory?.watched).toBeGreaterThanOrEqual(memory?.watched ?? Infinity);
  await until(90, "an answer", answers);
  expect(state()?.engine.restarts).toBe(1);
}, 420_000);

test("what the operator stops stays stopped", async () => {
  const before = acts().length;
  await said(host, ["systemctl", "stop", ENGINE]);
  await until(30, "it is said", () => state()?.engine.state === "stopped");
  await Bun.sleep(15_000);
  expect(acts().length).toBe(before);
  expect(await property(host, ENGINE, "ActiveState")).toBe("inactive");
}, 120_000);

test("a watcher that is frozen is ended by systemd and comes back; one that is stopped says so", async () => {
  const frozen = await property(host, WATCHER, "MainPID");
  await said(host, ["kill", "-STOP", frozen]);
  await until(150, "another watcher", async () => {
    const now = await property(host, WATCHER, "MainPID");
    // one that is still starting has nothing to say at its end
    const active = (await property(host, WATCHER, "ActiveState")) === "active";
    return active && now !== frozen && now !== "0";
  });
  await said(host, ["systemctl", "stop", WATCHER]);
  expect(state()?.ended).toBeDefined();
  const shown = await host.run([`${HOME}/bin/shelter`, "watch"], { as: USER });
  expect(shown.stdout).toContain("shadow is not watched");
}, 300_000);

function told(): readonly { readonly alert: { readonly id: string } }[] {
  try {
    const text = readFileSync(join(host.root, TOLD), "utf8").trim();
    return text.split("\n").map((line) => JSON.parse(line) as { alert: { id: string } });
  } catch {
    return [];
  }
}
