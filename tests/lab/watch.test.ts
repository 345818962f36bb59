/**
 * The watcher on booted hosts: each rung of the ladder cures what no rung below it does, nothing storms, and who watches the watcher. Most of the time is
 * the ladder's own waiting, so the engine's ladder is climbed on one host while the other has its faults.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { difference, listing } from "../support/listing.ts";
import { documentOf } from "../support/program.ts";
import { property } from "./served_host.ts";
import { HOME, said, USER } from "./two_hosts.ts";
import { bootWatched, ENGINE, GATEWAY, TOP, WATCHES, type Watched } from "./watched_host.ts";

let shadow: Watched;
let phantom: Watched;
/** What phantom was before the services. */
let bare: readonly string[];
/** The faults on shadow, one after the other, while phantom has its own. */
const onShadow: Record<string, Promise<void>> = {};
const watchedFolders = () => listing(phantom.host.root, ["etc", "usr/local"], ["usr"]);

beforeAll(async () => {
  shadow = await bootWatched("shadow");
  await shadow.giveOperator();
  const first = shadow.install();
  phantom = await bootWatched("phantom");
  bare = watchedFolders();
  await first;
  await phantom.install();
  let before = Promise.resolve();
  for (const [name, fault] of Object.entries(FAULTS_ON_SHADOW)) {
    const begun = before.then(fault);
    // told by the test of that name
    before = begun.catch(() => undefined);
    onShadow[name] = begun;
    begun.catch(() => undefined);
  }
}, 1_200_000);
afterAll(async () => {
  await Promise.all([shadow?.host.stop(), phantom?.host.stop()]);
}, 120_000);

const FAULTS_ON_SHADOW = {
  async generation() {
    await shadow.fresh();
    const before = shadow.acts().length;
    await shadow.breakBuild(shadow.builds.live);
    await shadow.killEngine();
    await shadow.until(240, "the build before", async () => {
      const given = await shadow.host.run(["cat", `${TOP}/engine/given-up`]);
      return given.stdout.trim() === shadow.builds.live;
    });
    await shadow.until(60, "an answer", shadow.answers);
    expect(shadow.acts().slice(before).at(-1)).toStartWith(
      "put the last good generation of the engine live",
    );
    expect(await said(shadow.host, ["pgrep", "-a", "-x", "llama-server"])).toContain(
      shadow.builds.before,
    );
  },

  /** Goes on where the one before ended: the build before fails as well, and no rung is left. */
  async halt() {
    await shadow.breakBuild(shadow.builds.before);
    await shadow.killEngine();
    await shadow.until(300, "the halt", () => (shadow.state()?.halted.length ?? 0) > 0);
    expect(shadow.state()?.halted[0]?.why).toMatch(/last good generation did not help$/);
    const done = shadow.acts().length;
    expect(done).toBeLessThanOrEqual(8);
    await shadow.until(30, "the operator's command", () => shadow.told().includes("engine-halted"));
    expect(await shadow.notified()).toContain("the engine is given up");
    const banner = await shadow.shelter("status");
    expect(banner.stdout + banner.stderr).toContain("given up");
    await Bun.sleep(15_000);
    expect(shadow.acts().length).toBe(done);
    expect(await property(shadow.host, ENGINE, "ActiveState")).toBe("failed");
    await shadow.mendBuild(shadow.builds.live);
    await shadow.mendBuild(shadow.builds.before);
    expect((await shadow.shelter("watch", "--again")).stdout).toContain("engine");
    await shadow.until(90, "an answer", shadow.answers);
    await shadow.until(30, "no halt", () => shadow.state()?.halted.length === 0);
  },

  async operator() {
    await shadow.fresh();
    const before = shadow.acts().length;
    await said(shadow.host, ["systemctl", "stop", ENGINE]);
    await shadow.until(30, "it is said", () => shadow.state()?.engine.state === "stopped");
    await Bun.sleep(15_000);
    expect(shadow.acts().length).toBe(before);
    expect(await property(shadow.host, ENGINE, "ActiveState")).toBe("inactive");
  },

  async frozen() {
    // that a limit of systemd's ends it is what counts, not which
    const folder = `/run/systemd/system/${WATCHES}.d`;
    await shadow.shell(
      `mkdir -p ${folder} && printf '[Service]\\nWatchdogSec=10\\n' >${folder}/lab.conf`,
    );
    await said(shadow.host, ["systemctl", "daemon-reload"]);
    await shadow.fresh();
    const pid = await shadow.pidOf(WATCHES);
    await said(shadow.host, ["kill", "-STOP", pid]);
    await shadow.until(60, "another watcher", async () => {
      const now = await shadow.pidOf(WATCHES);
      // one that is still starting has nothing to say at its end
      const active = (await property(shadow.host, WATCHES, "ActiveState")) === "active";
      return active && now !== pid && now !== "0";
    });
    await said(shadow.host, ["systemctl", "stop", WATCHES]);
    expect(shadow.state()?.ended).toBeDefined();
    expect((await shadow.shelter("watch")).stdout).toContain("shadow is not watched");
  },
};

test("restart: an engine that is frozen, which systemd takes for a running one", async () => {
  await phantom.fresh();
  const before = phantom.acts().length;
  const gateway = await phantom.pidOf(GATEWAY);
  await said(phantom.host, ["pkill", "-STOP", "-x", "llama-server"]);
  await phantom.until(60, "a restart", () => phantom.acts().length > before);
  await phantom.until(60, "an answer", phantom.answers);
  expect(phantom.acts().slice(before)).toEqual([
    expect.stringMatching(/^restart the engine, because /),
  ]);
  expect(await phantom.pidOf(GATEWAY)).toBe(gateway);
  await phantom.until(30, "the count", () => phantom.state()?.engine.restarts === 1);
  // who is killed comes back with what it knew
  await said(phantom.host, ["kill", "-9", await phantom.pidOf(WATCHES)]);
  const since = phantom.state()?.since;
  await phantom.until(60, "a new watcher", () => phantom.state()?.since !== since);
  expect(phantom.state()?.engine.restarts).toBe(1);
}, 240_000);

test("the count survives a cut of the host's power", async () => {
  // not the boot id: a unit's own /proc shows the machine's here, which nspawn hides from its host elsewhere
  const { since, memory, engine } = phantom.state() ?? {};
  expect(engine?.restarts).toBe(1);
  await phantom.host.cutPower();
  await phantom.host.powerOn();
  await phantom.until(90, "the next boot's watcher", () => phantom.state()?.since !== since);
  const after = phantom.state();
  expect(after?.engine.restarts).toBe(1);
  expect(after?.memory?.watched).toBeGreaterThanOrEqual(memory?.watched ?? Infinity);
  await phantom.until(90, "an answer", phantom.answers);
  expect(phantom.state()?.engine.restarts).toBe(1);
}, 420_000);

test("known fix: a damaged lock, which every restart finds again", async () => {
  await phantom.fresh();
  const before = phantom.acts().length;
  await phantom.shell(`printf '{' >${HOME}/runtime/locks/engine.lock/holder.json`);
  await phantom.killEngine();
  await phantom.until(180, "the fix", () =>
    phantom.acts().some((text, at) => at >= before && /known fix/.test(text)),
  );
  await phantom.until(60, "an answer", phantom.answers);
  expect(
    phantom
      .acts()
      .slice(before)
      .map((text) => text.split(",")[0]?.split(":")[0]),
  ).toEqual(["restart the engine", "heal the engine by a known fix"]);
}, 300_000);

test("the release before: a release whose gateway can't start, while engine and watcher of it run", async () => {
  const [older, newer] = [await serving(), await installNewer()];
  expect(await serving()).toBe(newer);
  expect(newer).not.toBe(older);
  await phantom.fresh();
  const before = phantom.acts().length;
  const engine = await phantom.pidOf(ENGINE);
  await breakGateway(newer);
  await said(phantom.host, ["kill", "-9", await phantom.pidOf(GATEWAY)]);
  await phantom.until(240, "the release before", async () => (await serving()) === older);
  await phantom.until(60, "an answer", phantom.answers);
  expect(
    phantom
      .acts()
      .slice(before)
      .map((text) => text.split(",")[0]),
  ).toEqual([
    "restart the gateway",
    "restart the gateway",
    "restart the gateway",
    "go back to the release before",
  ]);
  // gateway and watcher are of the release before, and the engine was not disturbed
  for (const unit of [GATEWAY, WATCHES]) {
    await phantom.until(60, `${unit} of ${older}`, async () => {
      const pid = await phantom.pidOf(unit);
      const exe = await phantom.host.run(["readlink", `/proc/${pid}/exe`]);
      return exe.stdout.trim() === `${TOP}/${older}/shelter`;
    });
  }
  expect(await phantom.pidOf(ENGINE)).toBe(engine);
  await phantom.until(30, "the end of the act", () => phantom.outcomes().length === before + 4);
  expect(phantom.outcomes().at(-1)).toBe("changed");
  await phantom.until(60, "the alert", () =>
    (phantom.state()?.alerts ?? []).some(({ id }) => id === "release"),
  );
  expect(phantom.state()?.halted).toEqual([]);
  const status = await phantom.shelter("status");
  expect(status.stdout).toContain(`release ${older} serves, the one before: ${newer} was given up`);
  expect(status.stdout).toContain("sudo ./bin/06_phantom_watchdog");
  const verified = await phantom.services("--verify");
  expect(verified.code).toBe(10);
  expect(documentOf(verified)["findings"]).toContainEqual(
    expect.objectContaining({
      id: "release-given-up",
      fix: ["sudo", "./bin/06_phantom_watchdog"],
    }),
  );
}, 480_000);

test("the script takes the release that was given up up again", async () => {
  const older = await serving();
  await mendGateway(await installed());
  expect((await phantom.services("--yes")).code).toBe(0);
  expect(await serving()).toBe(await installed());
  expect(await serving()).not.toBe(older);
  await phantom.until(60, "an answer", phantom.answers);
  expect((await phantom.services("--verify")).code).toBe(0);
}, 240_000);

test("last good generation: a live build whose server is broken, with no fix for that", async () => {
  await onShadow["generation"];
}, 420_000);

test("halt: when nothing helps the watcher stops, says why, tells the operator, and hears of a new wish", async () => {
  await onShadow["halt"];
}, 600_000);

test("what the operator stops stays stopped", async () => {
  await onShadow["operator"];
}, 180_000);

test("a watcher that is frozen is ended by systemd and comes back; one that is stopped says so", async () => {
  await onShadow["frozen"];
}, 180_000);

test("taken back, run by run, it leaves no trace", async () => {
  // the lab's hosts share their machine's control groups: a unit is kept as long as the other host's of that name has a process
  await shadow.host.stop();
  const runs: unknown[] = [];
  for (let left = 3; left > 0; left--) {
    runs.push(documentOf(await phantom.services("--undo"))["outcome"]);
  }
  expect(runs).toEqual(["changed", "changed", "changed"]);
  expect(difference(bare, watchedFolders())).toEqual([]);
  const units = ["systemctl", "list-units", "--all", "--no-legend", "--plain", "shelter-*"];
  await phantom.until(30, "systemd has forgotten them", async () => {
    return (await said(phantom.host, units)) === "";
  });
}, 240_000);

/** The release that serves on phantom. */
async function serving(): Promise<string> {
  const path = (await said(phantom.host, ["readlink", "-f", `${TOP}/current/shelter`])).trim();
  expect(path).toMatch(/^\/usr\/local\/lib\/mountain-shelter\/[0-9a-f]{16}\/shelter$/);
  return path.split("/").at(-2) ?? "";
}

/** Installs another program that does the same: one byte differs that nobody reads (elf(5), EI_PAD). */
async function installNewer(): Promise<string> {
  const path = join(phantom.host.root, HOME, "bin/06_phantom_watchdog");
  const program = readFileSync(path);
  program[15] = 1;
  writeFileSync(`${path}.new`, program, { mode: 0o755 });
  await phantom.shell(
    `cd ${HOME}/bin && chown ${USER}: 06_phantom_watchdog.new && mv 06_phantom_watchdog.new 06_phantom_watchdog`,
  );
  await phantom.install();
  return await serving();
}

/** The release that was installed last, whichever serves. */
async function installed(): Promise<string> {
  const link = (await said(phantom.host, ["readlink", `${TOP}/current`])).trim();
  return link.replace("live/", "");
}

/** From its next start on the gateway of a release ends at once; all else of it is as it was. */
async function breakGateway(release: string): Promise<void> {
  const lines = ["#!/bin/sh", '[ "$1" = gateway ] && exit 1', 'exec "${0%/*}/whole/shelter" "$@"'];
  const folder = join(TOP, release);
  await phantom.shell(`cd ${folder} && mkdir whole && cp -a shelter whole/shelter`);
  const text = `${lines.join("\n")}\n`;
  writeFileSync(join(phantom.host.root, folder, "new"), text, { mode: 0o755 });
  await phantom.shell(`cd ${folder} && mv new shelter`);
}
const mendGateway = (release: string) =>
  phantom.shell(`cd ${join(TOP, release)} && mv whole/shelter shelter && rmdir whole`);
