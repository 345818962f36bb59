/** Two paired hosts: what one has the other do, what differs between them, and what is seen of one that is gone. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { sha256 } from "../../lib/machine/hash.ts";
import type { PeerView } from "../../lib/orchestra/peers_view.ts";
import type { RunReport } from "../../lib/unit.ts";
import { ggufFile, tinyModel } from "../support/gguf_writer.ts";
import { catalogueText, type TestModel } from "../support/models.ts";
import type { LabHost, Said } from "./host.ts";
import { bootPairedHosts, HOME, said, type TwoHosts, USER } from "./two_hosts.ts";

/** Of the lab's one user. */
const UID = 1000;
/** Longest look at a host that is gone, in milliseconds: a machine that runs two hosts and a test is busy. */
const LOOK = 15_000;

let lab: TwoHosts;
beforeAll(async () => {
  lab = await bootPairedHosts(process.env["SHELTER_TEST_BIN"] ?? "bin");
}, 600_000);
afterAll(async () => {
  await lab.stop();
}, 120_000);

/** Puts a file into a host's home, as its owner's. */
function put(host: LabHost, name: string, content: string | Uint8Array): void {
  const path = join(host.root, HOME, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content, { mode: 0o600 });
  chownSync(path, UID, UID);
}
const onShadow = (script: string, ...argv: readonly string[]) =>
  lab.shelter(lab.phantom, [script, "--host", "shadow", ...argv]);
/** The one document that a command printed. */
function documentOf({ stdout, stderr }: Said): unknown {
  try {
    return JSON.parse(stdout);
  } catch (error) {
    throw new Error(`no document: ${stdout}\n${stderr}`, { cause: error });
  }
}
const reportOf = (ended: Said) => documentOf(ended) as RunReport;
async function status(): Promise<{ readonly view: PeerView; readonly text: string }> {
  const told = await lab.shelter(lab.phantom, ["shelter", "status", "--json"]);
  const [view] = (documentOf(told) as { peers: PeerView[] }).peers;
  if (!view) throw new Error("no peer in status");
  const { stdout } = await lab.shelter(lab.phantom, ["shelter", "status"]);
  return { view, text: stdout };
}

test("the peer's home is made and checked by its own binary, from here", async () => {
  const first = await onShadow("02_scaffold_dirs");
  expect({ code: first.code, err: first.stderr }).toEqual({ code: 0, err: "" });
  expect(first.stdout).toContain("02_scaffold_dirs on shadow");
  expect(await said(lab.shadow, ["stat", "-c", "%U %a", `${HOME}/shared.cfg`])).toBe(
    `${USER} 600\n`,
  );
  for (const script of ["02_scaffold_dirs", "00_check_structure"]) {
    const again = await onShadow(script, "--json");
    expect(reportOf(again)).toMatchObject({ script, host: "shadow" });
    expect([script, again.code]).toEqual([script, 0]);
  }
  expect((await lab.shelter(lab.phantom, ["02_scaffold_dirs"])).code).toBe(0);
}, 60_000);

test("exit codes are the peer's: pending, blocked, not in this build", async () => {
  await said(lab.shadow, ["chmod", "755", `${HOME}/logs`], USER);
  expect((await onShadow("02_scaffold_dirs", "--plan")).code).toBe(10);
  expect((await onShadow("02_scaffold_dirs")).code).toBe(0);
  await said(lab.shadow, ["rmdir", `${HOME}/dashboards`], USER);
  await said(lab.shadow, ["touch", `${HOME}/dashboards`], USER);
  const blocked = await onShadow("02_scaffold_dirs", "--json");
  expect(reportOf(blocked)).toMatchObject({ outcome: "blocked", host: "shadow" });
  expect(blocked.code).toBe(11);
  await said(lab.shadow, ["rm", `${HOME}/dashboards`], USER);
  expect((await onShadow("02_scaffold_dirs")).code).toBe(0);
  const absent = await onShadow("09_iso_boot_setup", "--json");
  expect([absent.code, reportOf(absent).outcome]).toEqual([11, "absent"]);
}, 60_000);

test("a peer without binaries, and a host that is not paired, are told as such", async () => {
  await said(lab.shadow, ["mv", `${HOME}/bin`, `${HOME}/away`], USER);
  const missing = await onShadow("00_check_structure");
  await said(lab.shadow, ["mv", `${HOME}/away`, `${HOME}/bin`], USER);
  expect([missing.code, missing.stderr.includes("no program of ours answers there")]).toEqual([
    11,
    true,
  ]);
  const stranger = await lab.shelter(lab.phantom, [
    "00_check_structure",
    "--host",
    "third",
    "--json",
  ]);
  expect(reportOf(stranger).error?.id).toBe("not-paired");
}, 60_000);

test("what differs is found, in which direction and since when", async () => {
  put(lab.shadow, "agents/one.yaml", "a: 1\n");
  await said(lab.shadow, ["touch", "-d", "2026-01-02T03:04:00Z", `${HOME}/agents/one.yaml`], USER);
  const report = reportOf(await lab.shelter(lab.phantom, ["00_check_structure", "--json"]));
  const found = report.findings.find((one) => one.id === "parity-files.shadow");
  expect(found?.what).toBe(
    "agents and dashboards differ: agents/one.yaml only on shadow, since 2026-01-02T03:04Z",
  );
  expect(report.findings.some((one) => one.id.startsWith("parity-programs"))).toBe(false);
  await said(lab.shadow, ["rm", `${HOME}/agents/one.yaml`], USER);
  const same = reportOf(await lab.shelter(lab.phantom, ["00_check_structure", "--json"]));
  expect(same.findings.find((one) => one.id === "parity.shadow")?.level).toBe("ok");
}, 60_000);

test("a model that only the peer has comes from there, proven", async () => {
  const bytes = ggufFile(tinyModel("peer"));
  put(lab.shadow, "tiny.gguf", bytes);
  const model = (sources: TestModel["sources"]): TestModel => ({ name: "tiny", bytes, sources });
  put(lab.shadow, "models/local.yaml", catalogueText([model([{ path: `${HOME}/tiny.gguf` }])]));
  put(lab.phantom, "models/local.yaml", catalogueText([model([{ path: "/nowhere/tiny.gguf" }])]));
  expect((await onShadow("03_install_models", "--model", "tiny")).code).toBe(0);
  await status(); // by which phantom knows that shadow has it
  const parity = reportOf(
    await lab.shelter(lab.phantom, ["00_check_structure", "--plan", "--json"]),
  );
  expect(parity.findings.find((one) => one.id === "parity-models.shadow")).toMatchObject({
    what: expect.stringContaining("tiny only on shadow") as string,
    fix: ["./bin/03_install_models", "--model", "tiny"],
  });
  const taken = await lab.shelter(lab.phantom, ["03_install_models", "--model", "tiny", "--json"]);
  expect({ code: taken.code, error: reportOf(taken).error }).toEqual({
    code: 0,
    error: undefined,
  });
  const hash = await said(lab.phantom, ["sha256sum", `${HOME}/models/tiny.gguf`], USER);
  expect(hash.split(" ")[0]).toBe(sha256(bytes));
}, 120_000);

/** A run on shadow that waits for a source which never sends anything; ended from phantom by this signal. */
async function stoppedBy(signal: "INT" | "KILL", name: string) {
  const serve = "Bun.serve({ port: 8099, idleTimeout: 0, fetch: () => new Promise(() => {}) })";
  const server = lab.shadow.run([`${HOME}/bin/shelter`, "-e", serve], {
    as: USER,
    env: { BUN_BE_BUN: "1" },
  });
  const url = "http://127.0.0.1:8099/x.gguf";
  const model = { name, bytes: new TextEncoder().encode(name), sources: [{ url }] };
  put(lab.shadow, "models/local.yaml", catalogueText([model]));
  const stop = ["timeout", "--preserve-status", `--signal=${signal}`, "6"];
  const run = [`${HOME}/bin/03_install_models`, "--host", "shadow", "--model", name];
  const ended = await lab.phantom.run([...stop, ...run], { as: USER });
  for (let tries = 0; tries < 100; tries++) {
    const running = await lab.shadow.run(["pgrep", "-f", "peer operator phantom"]);
    if (running.code !== 0) break;
    await Bun.sleep(200);
  }
  await said(lab.shadow, ["pkill", "-f", "Bun.serve"]);
  await server;
  const journal = await said(lab.shadow, ["sh", "-c", `tail -n 1 ${HOME}/logs/journal/shadow/*`]);
  return { ended, last: JSON.parse(journal) as { script: string; outcome: string } };
}

test("Ctrl-C here has the run there taken back, and its end is waited for", async () => {
  const { ended, last } = await stoppedBy("INT", "first");
  expect(ended.code).toBe(130);
  expect(ended.stderr).toContain("shadow is told to take it back");
  expect(ended.stdout).toContain("03_install_models on shadow");
  expect(last).toMatchObject({ script: "03_install_models", outcome: "interrupted" });
}, 90_000);

test("a caller that is killed leaves no run behind on the other host", async () => {
  const { last } = await stoppedBy("KILL", "second");
  expect(last).toMatchObject({ script: "03_install_models", outcome: "interrupted" });
}, 90_000);

test("shelter's own commands are carried out by the peer's binary, and take back nothing here", async () => {
  const shelter = (...argv: readonly string[]) => lab.shelter(lab.phantom, ["shelter", ...argv]);
  expect(documentOf(await shelter("next", "--host", "shadow", "--json"))).toMatchObject({
    host: "shadow",
  });
  const history = async (at: typeof lab.phantom, ...argv: readonly string[]) =>
    (
      documentOf(await lab.shelter(at, ["shelter", "history", "--json", ...argv])) as {
        readonly runs: readonly unknown[];
      }
    ).runs;
  const here = await history(lab.phantom);
  const there = await history(lab.phantom, "--host", "shadow");
  expect(there).toEqual(await history(lab.shadow));
  expect(there).not.toEqual(here);
  expect((await shelter("undo", "99_nothing", "--host=shadow")).code).toBe(2);
  expect([await history(lab.phantom), await history(lab.shadow)]).toEqual([here, there]);
}, 60_000);

test("status shows both while both are there", async () => {
  const { view, text } = await status();
  expect(view).toMatchObject({ name: "shadow", state: "up", source: "live", stale: [] });
  expect(view.scripts.find((one) => one.script === "02_scaffold_dirs")?.standing).toBe("done");
  expect(text).toContain("✓ shadow answers");
  const whole = await lab.shelter(lab.phantom, ["shelter", "status", "--host", "shadow"]);
  expect(whole.stdout).toMatch(/✓ 02_scaffold_dirs +done/);
}, 60_000);

test("with the peer powered off: when it was last heard, what is stale, what works, and nothing fails for it", async () => {
  const before = (await status()).view;
  await lab.shadow.stop();
  const began = performance.now();
  const { view, text } = await status();
  expect(performance.now() - began).toBeLessThan(2 * LOOK);
  expect(view).toMatchObject({ state: "down", source: "last contact", scripts: before.scripts });
  expect(Date.now() - Date.parse(view.last_seen ?? "")).toBeLessThan(120_000);
  expect(text).toContain("✗ shadow is down; it last answered at");
  expect(view.works.join("; ")).toContain("all scripts on this host");
  expect(view.missing.join("; ")).toContain("carried over to nobody");
  const check = await lab.shelter(lab.phantom, ["00_check_structure", "--json"]);
  const parity = reportOf(check).findings.find((one) => one.id === "parity.shadow");
  expect([check.code, parity?.level]).toEqual([0, "unknown"]);
  const run = await onShadow("00_check_structure", "--json");
  expect([run.code, reportOf(run).error?.id]).toEqual([11, "peer-unreachable"]);
}, 120_000);
