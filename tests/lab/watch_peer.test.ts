/** Two booted hosts that watch each other: a watcher that dies or is stopped, and a host that is gone, are told of on the other. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Alert, WatchState } from "../../lib/watch/state.ts";
import type { LabHost } from "./host.ts";
import { bootPairedHosts, HOME, said, type TwoHosts, USER } from "./two_hosts.ts";

let lab: TwoHosts;
beforeAll(async () => {
  lab = await bootPairedHosts(process.env["SHELTER_TEST_BIN"] ?? "bin");
  await watch(lab.phantom, "06_phantom_watchdog");
  await watch(lab.shadow, "06_shadow_control");
}, 600_000);
afterAll(async () => {
  await lab?.stop();
}, 120_000);

let started = 0;
/** The unit of each host's watcher. */
const units = new Map<string, string>();
const unitOf = (host: LabHost) => units.get(host.name) ?? "";

/** The watcher alone, as a unit that systemd does not bring back. */
async function watch(host: LabHost, script: string): Promise<void> {
  const unit = `watcher-${++started}`; // of one that was killed the name stays taken
  units.set(host.name, unit);
  await said(host, [
    ...["systemd-run", "--quiet", "--collect", `--unit=${unit}`, `--uid=${USER}`],
    ...[`--setenv=HOME=/home/${USER}`, `${HOME}/bin/${script}`, "run", "--home", HOME],
  ]);
}

function state(host: LabHost): WatchState | undefined {
  try {
    const path = join(host.root, HOME, "runtime/state/watch.json");
    return JSON.parse(readFileSync(path, "utf8")) as WatchState;
  } catch {
    return undefined;
  }
}
const alert = (host: LabHost, id: string): Alert | undefined =>
  state(host)?.alerts.find((one) => one.id === id);

async function until(seconds: number, what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await Bun.sleep(500)) {
    if (holds()) return;
  }
  const log = await lab.phantom.run(["journalctl", "--no-pager", "-n", "40", "-u", "watcher-*"]);
  throw new Error(
    `not within ${seconds} s: ${what}\n${JSON.stringify(state(lab.phantom))}\n${log.stdout}`,
  );
}

test("both see each other, with clocks that agree", async () => {
  for (const host of [lab.phantom, lab.shadow]) {
    await until(90, `${host.name} sees its peer`, () => {
      const { peer } = state(host) ?? {};
      return peer?.state === "up" && Math.abs(peer.clockOff ?? Number.NaN) < 5000;
    });
  }
  const shown = await lab.shelter(lab.phantom, ["shelter", "watch"]);
  expect(shown.stdout).toContain("phantom (this host)");
  expect(shown.stdout).toContain("shadow");
  expect(shown.stdout).not.toContain("is not watched");
}, 240_000);

test("a watcher that is killed is noticed by the other host", async () => {
  const pid = await said(lab.shadow, [
    "systemctl",
    "show",
    "--value",
    "-p",
    "MainPID",
    unitOf(lab.shadow),
  ]);
  await said(lab.shadow, ["kill", "-9", pid.trim()]);
  await until(240, "the alert", () => alert(lab.phantom, "peer-watcher.shadow") !== undefined);
  expect(alert(lab.phantom, "peer-watcher.shadow")?.what).toContain("has said nothing for");
  await watch(lab.shadow, "06_shadow_control");
  await until(180, "its end", () => alert(lab.phantom, "peer-watcher.shadow") === undefined);
}, 480_000);

test("one that is stopped is noticed at the next word, and that it was stopped is said", async () => {
  await said(lab.shadow, ["systemctl", "stop", unitOf(lab.shadow)]);
  await until(90, "the alert", () => alert(lab.phantom, "peer-watcher.shadow") !== undefined);
  expect(alert(lab.phantom, "peer-watcher.shadow")?.what).toContain("was stopped at");
}, 120_000);

test("a host whose cable is out is down within two minutes, and up again when it is back", async () => {
  await lab.cable(false);
  try {
    await until(150, "it is down", () => state(lab.phantom)?.peer?.state === "down");
    expect(alert(lab.phantom, "peer-down.shadow")).toMatchObject({ level: "warn" });
    const shown = await lab.shelter(lab.phantom, ["shelter", "watch"]);
    expect(shown.stdout).toStartWith("shadow does not answer");
  } finally {
    await lab.cable(true);
  }
  await until(120, "it is up", () => state(lab.phantom)?.peer?.state === "up");
}, 480_000);
