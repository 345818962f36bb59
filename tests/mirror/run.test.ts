/** A mirror's runs on two homes of one fake machine: what is held back, refused, repaired, taken back. */
import { expect, test } from "bun:test";
import { linkSync, mkdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { DEFAULT_CONFIG_TEXT } from "../../lib/hosts/config_default.ts";
import { inHome } from "../../lib/keep/home.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { RunReport } from "../../lib/unit.ts";
import { unit } from "../../scripts/05_rsync_mirror.ts";
import { FAKE_HOME, type FakeFile, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import {
  askPeer,
  commitOf,
  certificateOf,
  mirrorMachine,
  type OnRequest,
  PEER_HOME,
  type TwoHomes,
} from "../support/mirror_world.ts";
import { runOn } from "../support/run.ts";
import { keptForEachTest } from "../support/kept.ts";

const certificate = certificateOf("shadow");
const keep = keptForEachTest();
const world = (homes: TwoHomes) => keep(fakeMachine(mirrorMachine(certificate, homes)));
const hashOf = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");
const there = (path: string) => join(PEER_HOME, path);
const here = (path: string) => join(FAKE_HOME, path);
const whats = (report: RunReport) => report.findings.map((one) => one.what).join("\n");
const LOG = "logs/memory/testhost/00_check_structure/20260101-0000.log";
const mine: Readonly<Record<string, FakeFile>> = {
  "status/testhost/structure_ok.json": { text: '{"schema":1}\n', mode: 0o600 },
  [LOG]: { text: '{"a":1}\n{"b":2}\n', mode: 0o600 },
};

async function good(at: FakeWorld, want = {}): Promise<RunReport> {
  const report = await runOn(at, unit, { want: { yes: true, ...want } });
  const { outcome, error, left } = report;
  expect({ outcome, error, left }).toEqual({
    outcome: outcome === "converged" ? "converged" : "changed",
    error: undefined,
    left: undefined,
  });
  return report;
}

const live = (at: FakeWorld) =>
  createProbe(at.machine, PEER_HOME, "shadow").stat(there("runtime/mirror/testhost/current"))
    ?.target;

test("generations are kept as shared.cfg says, and each undo goes one back until none is kept", async () => {
  const at = world({ mine: { ...mine, "shared.cfg": "retention: {mirrors: 3}\n" } });
  for (let turn = 0; turn < 5; turn++) {
    at.write(here(`status/testhost/turn.json`), `{"turn":${turn}}\n`);
    await good(at);
  }
  const all = () =>
    createProbe(at.machine, PEER_HOME, "shadow")
      .list(there("runtime/mirror/testhost"))
      .filter((name) => /^\d{8}$/.test(name));
  expect(all()).toEqual(["00000003", "00000004", "00000005"]);
  for (const turn of [3, 2]) {
    const undone = await runOn(at, unit, { mode: "undo" });
    expect(undone.outcome).toBe("changed");
    expect(at.read(there("status/shadow/../testhost/turn.json"))).toBe(`{"turn":${turn}}\n`);
  }
  const last = await runOn(at, unit, { mode: "undo" });
  expect(last.outcome).toBe("broken");
  expect(last.left?.join()).toContain("not kept on shadow any more");
});

test("a file that is unchanged is a second name of the older generation's, and a changed one leaves that untouched", async () => {
  const at = world({ mine });
  await good(at);
  at.write(here("status/testhost/structure_ok.json"), '{"schema":1,"new":true}\n');
  await good(at);
  const probe = createProbe(at.machine, PEER_HOME, "shadow");
  const inode = (generation: string, path: string) =>
    probe.stat(there(`runtime/mirror/testhost/${generation}/${path}`))?.inode;
  expect(inode("00000001", LOG)).toBe(inode("00000002", LOG) as number);
  expect(at.read(there("runtime/mirror/testhost/00000001/status/testhost/structure_ok.json"))).toBe(
    '{"schema":1}\n',
  );
});

test("a log that shrank or changed its beginning is held back until the operator says so", async () => {
  const at = world({ mine });
  await good(at);
  for (const text of ['{"a":1}\n', '{"x":1}\n{"b":2}\n{"c":3}\n']) {
    at.write(here(LOG), { text, mode: 0o600 });
    at.write(here("status/testhost/other.json"), JSON.stringify({ text }));
    const report = await good(at);
    expect(whats(report)).toContain(`${LOG} is not sent on`);
    expect(at.read(there(LOG))).toBe('{"a":1}\n{"b":2}\n');
  }
  await good(at, { take: "mine", path: LOG });
  expect(at.read(there(LOG))).toBe('{"x":1}\n{"b":2}\n{"c":3}\n');
});

test("a damaged status and a damaged shared.cfg are not sent on", async () => {
  const at = world({ mine: { ...mine, "shared.cfg": "models: []\n" } });
  await good(at);
  at.write(here("status/testhost/structure_ok.json"), '{"schema":');
  at.write(here("shared.cfg"), "models: [\u0000\n");
  at.write(here("status/testhost/other.json"), "{}");
  const report = await good(at);
  expect(whats(report)).toContain("structure_ok.json is not sent on");
  expect(whats(report)).toContain("shared.cfg is damaged");
  expect(at.read(there("status/testhost/structure_ok.json"))).toBe('{"schema":1}\n');
  expect(at.read(there("shared.cfg"))).toBe("models: []\n");
  at.write(here("shared.cfg"), "models: []\n# mended\n");
  await good(at);
  expect(at.read(there("shared.cfg"))).toContain("mended");
});

test.each([
  ["the text of a first run", DEFAULT_CONFIG_TEXT, []],
  ["comments beside a damaged one", "# begun anew\n", ["shared.cfg.damaged-20260101T000000Z"]],
] as const)(
  "a shared.cfg that was begun anew (%s) takes no settings from the peer, whose own can be had back",
  async (_, fresh, aside) => {
    const settings = "ports: {gateway: 9000}\n";
    const at = world({ mine: { ...mine, "shared.cfg": settings } });
    await good(at);
    at.write(here("shared.cfg"), fresh);
    for (const name of aside) at.write(here(name), "ports: [\n");
    for (let turn = 0; turn < 2; turn++) {
      at.write(here("status/testhost/turn.json"), `{"turn":${turn}}`);
      const report = await good(at);
      expect(report.findings).toContainEqual(
        expect.objectContaining({
          id: "config-reset-shadow",
          what: expect.stringContaining(aside[0] ?? "sets nothing"),
          fix: ["./bin/05_rsync_mirror", "--take", "theirs", "shared.cfg"],
        }),
      );
      expect([at.read(there("shared.cfg")), at.read(here("shared.cfg"))]).toEqual([
        settings,
        fresh,
      ]);
    }
    await good(at, { take: "theirs", path: "shared.cfg" });
    expect(at.read(here("shared.cfg"))).toBe(settings);
    expect(whats(await good(at))).not.toContain("begun anew");

    at.write(here("shared.cfg"), fresh);
    await good(at, { take: "mine", path: "shared.cfg" });
    expect(at.read(there("shared.cfg"))).toBe(fresh);
  },
);

test("what changes while it travels is sent again, and the rest of a growing log waits", async () => {
  let turn = 0;
  const onRequest: OnRequest = (words, at) => {
    if (words[0] === "rsync" && turn++ === 0) {
      at.write(here("status/testhost/structure_ok.json"), '{"later":true}\n');
      at.write(here(LOG), { text: '{"a":1}\n{"b":2}\n{"more":3}\n', mode: 0o600 });
    }
    return undefined;
  };
  const at = world({ mine, onRequest });
  await good(at);
  expect(at.read(there("status/testhost/structure_ok.json"))).toBe('{"later":true}\n');
  expect(at.read(there(LOG))).toStartWith('{"a":1}\n{"b":2}\n');
  await good(at);
  expect(at.read(there(LOG))).toBe('{"a":1}\n{"b":2}\n{"more":3}\n');
});

test("what never arrives whole never goes live", async () => {
  const onRequest: OnRequest = (words, at) => {
    if (words[0] !== "commit") return undefined;
    const arrived = there(`runtime/mirror/testhost/00000001.partial/${LOG}`);
    if (at.exists(arrived)) at.write(arrived, { text: "something else\n!!", mode: 0o600 });
    return undefined;
  };
  const at = world({ mine, onRequest });
  const report = await runOn(at, unit);
  expect({ outcome: report.outcome, id: report.error?.id }).toEqual({
    outcome: "corrupt",
    id: "never-whole",
  });
  expect(live(at)).toBeUndefined();
  expect(at.exists(there("status/testhost"))).toBe(false);
});

test("cutting what arrived never cuts an older generation's file of the same bytes", async () => {
  const at = world({ mine });
  await good(at);
  const arriving = there("runtime/mirror/testhost/00000002.partial");
  mkdirSync(dirname(at.path(`${arriving}/${LOG}`)), { recursive: true });
  linkSync(
    at.path(there(`runtime/mirror/testhost/00000001/${LOG}`)),
    at.path(`${arriving}/${LOG}`),
  );
  const start = '{"a":1}\n';
  const listed = { path: LOG, bytes: start.length, sha256: hashOf(start), grows: true };
  const request = commitOf("00000002", [listed]);
  const ran = await askPeer(at, ["commit"], JSON.stringify(request));
  expect(JSON.parse(ran.stdout)).toMatchObject({ done: false, again: [LOG] });
  expect(at.read(there(LOG))).toBe('{"a":1}\n{"b":2}\n');
});

test("files on the peer that rotted are noticed and sent anew", async () => {
  const at = world({ mine });
  await good(at);
  const rotten = there(`runtime/mirror/testhost/00000001/${LOG}`);
  at.write(rotten, { text: '{"a":1}\n{"b":9}\n', mode: 0o600 });
  expect(whats(await good(at))).not.toContain("rotten");
  expect(live(at)).toBe("00000002");
  expect(at.read(there(LOG))).toBe('{"a":1}\n{"b":2}\n');
});

test("a conflict is shown with both choices, and each of them ends it", async () => {
  for (const take of ["mine", "theirs"]) {
    const at = world({
      mine: { ...mine, "agents/a": "ours\n" },
      theirs: { "agents/a": "theirs\n" },
    });
    const report = await good(at);
    expect(whats(report)).toContain("agents/a was changed on testhost and on shadow");
    expect(report.picture?.join("\n")).toContain("--take theirs 'agents/a'");
    expect([at.read(here("agents/a")), at.read(there("agents/a"))]).toEqual(["ours\n", "theirs\n"]);
    await good(at, { take, path: "agents/a" });
    const chosen = take === "mine" ? "ours\n" : "theirs\n";
    expect([at.read(here("agents/a")), at.read(there("agents/a"))]).toEqual([chosen, chosen]);
    expect((await good(at)).outcome).toBe("converged");
    expect((await runOn(at, unit, { mode: "undo" })).outcome).toBe("changed");
    expect([at.read(here("agents/a")), at.read(there("agents/a"))]).toEqual(["ours\n", "theirs\n"]);
  }
});

test("a peer that edits while a run is under way keeps its edit", async () => {
  const onRequest: OnRequest = (words, at) => {
    if (words[0] === "commit") at.write(there("agents/a"), "edited there just now\n");
    return undefined;
  };
  const at = world({ mine: { ...mine, "agents/a": "ours\n" }, onRequest });
  await runOn(at, unit);
  expect(at.read(there("agents/a"))).toBe("edited there just now\n");
  expect(at.read(here("agents/a"))).toBe("ours\n");
});

test("under root the timer is set up, and undone with the run", async () => {
  const states = { enabled: false, active: false };
  const systemctl = (argv: readonly string[]) => {
    if (argv[1] === "enable") states.enabled = true;
    if (argv[1] === "disable") states.enabled = false;
    if (argv[1] === "start" || argv[1] === "restart") states.active = true;
    if (argv[1] === "stop") states.active = false;
    const { enabled, active } = states;
    const stdout = `UnitFileState=${enabled ? "enabled" : "disabled"}\nActiveState=${active ? "active" : "inactive"}\n`;
    return argv[1] === "show" ? { stdout } : {};
  };
  const at = world({
    mine: { ...mine, models: { link: relative(FAKE_HOME, "/big/disk/models") } },
    more: {
      me: { root: true },
      programs: { systemctl },
      files: {
        "/run/systemd/system": { folder: true },
        "/big/disk/models/sha256": { folder: true },
        "/usr/local/lib/mountain-shelter/current/shelter": "program",
      },
    },
  });
  await good(at);
  expect(states).toEqual({ enabled: true, active: true });
  const text = at.read("/etc/systemd/system/shelter-mirror.service");
  expect(text).toContain(
    "ExecStart=/usr/local/lib/mountain-shelter/current/shelter 05_rsync_mirror",
  );
  // models may stand on another disk, and what is damaged or missing there is fetched
  expect(text).toContain('ReadWritePaths="-/big/disk/models"\n');
  expect((await runOn(at, unit, { mode: "undo" })).outcome).toBe("changed");
  expect(states).toEqual({ enabled: false, active: false });
  expect(at.exists("/etc/systemd/system/shelter-mirror.service")).toBe(false);
});

test("a memory that is damaged is as good as none", async () => {
  const at = world({ mine: { ...mine, "agents/a": "x\n" } });
  await good(at);
  for (const name of ["home.json", "sent-shadow.json", "models.json"])
    at.write(inHome.work(FAKE_HOME, "mirror", name), "{{{");
  at.write(there("runtime/work/mirror/from-testhost.json"), "{{{");
  expect((await good(at)).outcome).toBe("converged");
  const probe = createProbe(at.machine, FAKE_HOME, "testhost");
  createAct(at.machine, probe).remove(inHome.work(FAKE_HOME));
  expect((await good(at)).outcome).toBe("converged");
});

test("a choice for what is nowhere is refused: it is never called settled", async () => {
  const at = world({
    mine: { ...mine, "agents/a": "mine" },
    theirs: { "agents/a": "theirs", "agents/gone": "theirs" },
  });
  for (const path of ["nosuch/path", "agents/b", "../../etc/passwd", "/etc/passwd", "models/x"]) {
    for (const take of ["mine", "theirs"]) {
      const report = await runOn(at, unit, { want: { yes: true, take, path } });
      expect([path, report.outcome, report.error?.id]).toEqual([
        path,
        "blocked",
        "no-such-conflict",
      ]);
      expect(report.error?.fix).toEqual(["./bin/05_rsync_mirror", "--plan"]);
    }
  }
  // what is chosen is settled by the run itself, and is no stranger then: also where it is removed
  expect((await good(at, { take: "mine", path: "agents/a" })).outcome).toBe("changed");
  expect(at.read(there("agents/a"))).toBe("mine");
  await good(at, { take: "mine", path: "agents/a" });
  at.remove(here("agents/a"));
  at.write(there("agents/a"), "theirs again");
  expect((await good(at, { take: "mine", path: "agents/a" })).outcome).toBe("changed");
  expect(at.exists(there("agents/a"))).toBe(false);
});

test("with nobody paired there is nothing to choose", async () => {
  const alone = keep(fakeMachine({ files: { [here("agents/a")]: "mine" } }));
  const report = await runOn(alone, unit, { want: { yes: true, take: "mine", path: "agents/a" } });
  expect([report.outcome, report.error?.id]).toEqual(["blocked", "no-such-conflict"]);
});
