/** What is gone from this host, or seems to be: nothing is removed on the peer that a person did not remove here. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { createProbe } from "../../lib/machine/probe.ts";
import { scan } from "../../lib/mirror/scan.ts";
import { unit } from "../../scripts/05_rsync_mirror.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { certificateOf, mirrorMachine, PEER_HOME } from "../support/mirror_world.ts";
import { runOn } from "../support/run.ts";
import { keptForEachTest } from "../support/kept.ts";

const certificate = certificateOf("shadow");
const keep = keptForEachTest();
const world = (mine: Readonly<Record<string, string>>) =>
  keep(fakeMachine(mirrorMachine(certificate, { mine })));
const there = (path: string) => join(PEER_HOME, path);
const here = (path: string) => join(FAKE_HOME, path);

/** Runs it, as it must end well; gives what was found, and how it ended. */
async function good(at: FakeWorld, want = {}) {
  const { outcome, error, findings } = await runOn(at, unit, { want: { yes: true, ...want } });
  expect(error).toBeUndefined();
  expect(["changed", "converged"]).toContain(outcome);
  return { outcome, said: findings.map((one) => one.what).join("\n") };
}

test("what is a link here now is not taken for removed: the peer keeps its own", async () => {
  const shared = { "agents/a/one": "1\n", "agents/a/two": "2\n", "shared.cfg": "models: []\n" };
  const at = world(shared);
  await good(at);
  at.remove(here("agents"));
  at.remove(here("shared.cfg"));
  at.write(here("agents"), { link: "/big/disk/agents" });
  at.write(here("shared.cfg"), { link: "dot.cfg" });
  const report = await good(at);
  expect(report.said).toContain("agents is not mirrored: it is a link");
  for (const [path, text] of Object.entries(shared)) expect(at.read(there(path))).toBe(text);
  await good(at);
  for (const [path, text] of Object.entries(shared)) expect(at.read(there(path))).toBe(text);
});

test("own logs that can't be read any more stay with the peer", async () => {
  const log = "logs/memory/testhost/x/1.log";
  const at = world({ [log]: "{}\n", "status/testhost/a.json": "{}" });
  await good(at);
  at.remove(here("logs/memory/testhost/x"));
  at.write(here("logs/memory/testhost/x"), { link: "/big/disk/logs" });
  at.write(here("status/testhost/a.json"), '{"new":1}');
  expect((await good(at)).said).toContain(`${log} is not sent on: it is a link`);
  expect(at.read(there("status/testhost/a.json"))).toBe('{"new":1}');
  expect(at.read(there(log))).toBe("{}\n");
});

test("a shared folder that is gone as a whole, or emptied, is removed or brought back only at the operator's word", async () => {
  const shared = { "agents/a/one": "1\n", "agents/a/two": "2\n" };
  const at = world(shared);
  await good(at);
  const all = () => Object.keys(shared).map((path) => at.exists(there(path)));
  for (const empty of [false, true]) {
    at.remove(here("agents"));
    if (empty) at.write(here("agents"), { folder: true });
    const report = await good(at);
    expect(report.said).toContain("nothing is left of agents on testhost");
    expect(all()).toEqual([true, true]);
    await good(at, { take: "theirs", path: "agents" });
    for (const [path, text] of Object.entries(shared)) expect(at.read(here(path))).toBe(text);
    expect((await good(at)).outcome).toBe("converged");
  }
  at.remove(here("agents"));
  await good(at, { take: "mine", path: "agents" });
  expect(all()).toEqual([false, false]);
  expect((await good(at)).outcome).toBe("converged");
});

test("what can't be looked at counts as refused, never as absent", () => {
  const at = world({ "agents/a/one": "1\n", "agents/b/two": "2\n" });
  const probe = createProbe(at.machine, FAKE_HOME, "testhost");
  const eyes = {
    ...probe,
    list: (path: string) => (path === here("agents/a") ? [] : probe.list(path)),
    unlistable: (path: string) => (path === here("agents/a") ? "EACCES" : undefined),
    stat: (path: string) => (path === here("agents/b/two") ? undefined : probe.stat(path)),
    read: (path: string) =>
      path === here("agents/b/two") ? { state: "denied" as const } : probe.read(path),
  };
  const refused = scan(eyes, ["agents"], true).refused.map((one) => one.path);
  expect(refused).toEqual(["agents/a", "agents/b/two"]);
});
