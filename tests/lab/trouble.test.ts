/** A peer that is there and can't be trusted in one thing: its clock, its certificate, its release. It is named with the command for it, and this host keeps answering. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { RunReport } from "../../lib/unit.ts";
import type { WatchState } from "../../lib/watch/state.ts";
import { makeAuthority } from "../support/certificates.ts";
import { must } from "./base.ts";
import type { LabHost, Said } from "./host.ts";
import { inside, put, textIn } from "./mirrored.ts";
import { ask } from "./served_host.ts";
import { STAND_IN, standInEngine, start, stop } from "./stand_in.ts";
import { bootPairedHosts, giveBinaries, HOME, said, type TwoHosts, USER } from "./two_hosts.ts";

const REPOSITORY = resolve(import.meta.dir, "../..");
/** Debian's libfaketime gives the programs that are started with it another clock; the two hosts share one kernel, and so its clock. */
const FAKED = (by: string) => [
  "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
  `FAKETIME=${by}`,
  "FAKETIME_DONT_FAKE_MONOTONIC=1",
];
/** The differences of clocks as they are said: some of the hour goes by on the way. */
const AN_HOUR = /(1 h 00 min|59 min \d\d s) ahead of this host's/;
const RENEW = "./bin/shelter pair shadow --renew";
const CERTIFICATE = "runtime/identity/gateway.crt";
const KEY = "runtime/identity/gateway.key";

const folder = mkdtempSync(join(process.env["SHELTER_TEST_RUN"] ?? tmpdir(), "shelter-trouble-"));
let lab: TwoHosts;
beforeAll(async () => {
  lab = await bootPairedHosts(process.env["SHELTER_TEST_BIN"] ?? "bin", ["libfaketime"]);
  const engine = await standInEngine(folder);
  for (const host of [lab.phantom, lab.shadow]) {
    put(host, STAND_IN, engine);
    expect((await lab.shelter(host, ["02_scaffold_dirs"])).code).toBe(0);
    await start(host, "engine");
    await start(host, "gateway");
  }
  // an operator who has logged in there once before
  put(lab.phantom, "../.ssh/config", "StrictHostKeyChecking accept-new\n");
  for (const host of [lab.phantom, lab.shadow]) await answered(host, host.name);
}, 1_200_000);
afterAll(async () => {
  await lab?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 120_000);

/** Sets shadow's clock for all that comes in by ssh and for its gateway; undefined gives it the right time. */
async function setClock(by?: string): Promise<void> {
  const file = join(lab.shadow.root, "etc/ssh/sshd_config.d/clock.conf");
  writeFileSync(file, by === undefined ? "" : `SetEnv ${FAKED(by).join(" ")}\n`);
  await said(lab.shadow, ["systemctl", "reload", "ssh"]);
  await start(lab.shadow, "gateway", by === undefined ? [] : FAKED(by));
}

/** A certificate on shadow as its gateway makes them, by another clock. */
async function certificateBy(clock: string): Promise<void> {
  const make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
  const files = ["-keyout", `${HOME}/${KEY}`, "-out", `${HOME}/${CERTIFICATE}`];
  const more = ["-addext", "subjectAltName=DNS:shadow", "-addext", "basicConstraints=CA:FALSE"];
  const text = ["-nodes", "-batch", "-days", "397", "-subj", "/CN=shadow"];
  await said(lab.shadow, ["env", ...FAKED(clock), ...make, ...text, ...more, ...files], USER);
}

async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (const end = Date.now() + 60_000; Date.now() < end; await Bun.sleep(300)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
  }
  const log = ["journalctl", "--no-pager", "-n", "40", "-u", "gateway-*"];
  const { stdout } = await lab.shadow.run(log);
  throw new Error(`it did not come about: ${what}\n${await ask(lab.phantom)}\n${stdout}`);
}
const answered = (host: LabHost, by: string) =>
  until(`an answer of ${by} at ${host.name}`, async () => (await ask(host)).includes(`from ${by}`));
/** A question at phantom that its own engine can't answer. */
async function carried(): Promise<void> {
  await stop(lab.phantom, "engine");
  await answered(lab.phantom, "shadow");
  await start(lab.phantom, "engine");
  await answered(lab.phantom, "phantom");
}

const words = ({ stdout, stderr }: Said) => stdout + stderr;
const here = (...argv: string[]) => lab.shelter(lab.phantom, argv);
const shown = async (text: string) =>
  until(`status says "${text}"`, async () => {
    const { stdout } = await here("shelter", "status");
    return stdout.includes(text) && stdout;
  });
async function report(...argv: string[]): Promise<RunReport & { readonly code: number }> {
  const ran = await here(...argv, "--json");
  return { ...(JSON.parse(ran.stdout) as RunReport), code: ran.code };
}
const finding = ({ findings }: RunReport, id: string) => findings.find((one) => one.id === id);
/** The command that is named, as it is named: no terminal, nothing to be accepted. */
async function renew(): Promise<void> {
  const ran = await here(...RENEW.replace("./bin/", "").split(" "));
  expect({ code: ran.code, said: ran.code === 0 ? "" : words(ran) }).toEqual({ code: 0, said: "" });
}

test("a clock an hour ahead is named by whatever asks that host; nothing is lost by it, and its answers are good", async () => {
  await setClock("+1h");
  await start(lab.phantom, "watcher");
  expect(await shown("shadow answers")).toMatch(AN_HOUR);
  const run = await here("02_scaffold_dirs", "--host", "shadow");
  expect([run.code, run.stderr]).toEqual([0, expect.stringMatching(AN_HOUR)]);
  const parity = finding(await report("00_check_structure"), "clock.shadow");
  expect(parity).toMatchObject({ level: "warn", what: expect.stringMatching(AN_HOUR) as string });

  put(lab.phantom, "agents/a.yaml", "of: phantom\n");
  const sent = await report("05_rsync_mirror");
  expect([sent.code, finding(sent, "clock-shadow")?.what]).toEqual([
    0,
    expect.stringMatching(AN_HOUR),
  ]);
  expect(textIn(lab.shadow, "agents/a.yaml")).toBe("of: phantom\n");
  put(lab.shadow, "agents/b.yaml", "of: shadow\n");
  expect((await here("05_rsync_mirror", "--host", "shadow")).code).toBe(0);
  expect(textIn(lab.phantom, "agents/b.yaml")).toBe("of: shadow\n");
  put(lab.phantom, "agents/a.yaml", "changed: phantom\n");
  put(lab.shadow, "agents/a.yaml", "changed: shadow\n");
  const both = await report("05_rsync_mirror");
  expect(finding(both, "both-changed-shadow-0")?.what).toStartWith("agents/a.yaml was changed on");
  const kept = [lab.phantom, lab.shadow].map((host) => textIn(host, "agents/a.yaml"));
  expect(kept).toEqual(["changed: phantom\n", "changed: shadow\n"]);

  await carried();
  const alert = await until("the watcher's alert", async () => {
    const state = JSON.parse(textIn(lab.phantom, "runtime/state/watch.json") ?? "{}") as WatchState;
    return state.alerts?.find((one) => one.id === "peer-clock.shadow");
  });
  expect(alert).toMatchObject({ level: "fail", what: expect.stringMatching(AN_HOUR) as string });
  expect((await here("shelter", "next")).stderr).toContain("! the clock of shadow");
  await stop(lab.phantom, "watcher");
}, 240_000);

test("a certificate that was made by that clock is refused until the clock is right, and made anew then", async () => {
  await certificateBy("+1h");
  await renew();
  const told = await shown("its certificate is not valid yet: a clock is wrong");
  expect(told).toContain("timedatectl status");
  expect(await ask(lab.phantom)).toStartWith("200 from phantom");
  await setClock();
  expect(await shown(RENEW)).not.toContain("its clock is");
  await renew();
  await carried();
}, 240_000);

test("a certificate that has expired is refused and named, and the command that is named cures it", async () => {
  await certificateBy("-400d");
  const trust = JSON.parse(textIn(lab.phantom, "runtime/trust/shadow.json") ?? "") as object;
  const certificate = textIn(lab.shadow, CERTIFICATE);
  put(lab.phantom, "runtime/trust/shadow.json", JSON.stringify({ ...trust, certificate }));
  expect(await shown("asks it nothing: its certificate has expired")).toContain(RENEW);
  const { what } = finding(await report("00_check_structure"), "certificate-ends.shadow") ?? {};
  expect(what).toStartWith("the certificate of shadow ended on");
  expect(await ask(lab.phantom)).toStartWith("200 from phantom");
  await stop(lab.phantom, "engine");
  const refused = await ask(lab.phantom);
  expect(refused).toStartWith("503 ");
  expect(refused).toContain("shadow its certificate has expired");
  await renew();
  await answered(lab.phantom, "shadow");
  await start(lab.phantom, "engine");
  await answered(lab.phantom, "phantom");
}, 240_000);

test("a certificate of a foreign authority is refused and named, and the command that is named cures it", async () => {
  const foreign = makeAuthority(folder).issue("shadow", 300);
  put(lab.shadow, KEY, readFileSync(foreign.key));
  put(lab.shadow, CERTIFICATE, readFileSync(foreign.cert));
  expect(await shown("asks it nothing: its certificate is not the paired one")).toContain(RENEW);
  expect(await ask(lab.phantom)).toStartWith("200 from phantom");
  await renew();
  await carried();
}, 240_000);

test("an older release is named with the command that brings the programs; until then nothing of it is changed", async () => {
  rmSync(inside(lab.shadow, "bin"), { recursive: true });
  giveBinaries(lab.shadow, await olderRelease());
  await said(lab.shadow, ["chown", "-R", `${USER}:${USER}`, `${HOME}/bin`]);
  const hashes = `cd ${HOME} && find . -type f ! -name gateway.json -exec sha256sum {} + | sort`;
  const before = await said(lab.shadow, ["sh", "-c", hashes]);
  put(lab.phantom, "agents/c.yaml", "for: shadow\n");

  const told = await shown("its programs are older than this host's: 0.0.9 (no commit), here");
  const run = await here("02_scaffold_dirs", "--host", "shadow", "--plan");
  expect([run.code, run.stderr]).toEqual([0, expect.stringContaining("another release: 0.0.9")]);
  const { code, error } = await report("05_rsync_mirror");
  expect([code, error?.what]).toEqual([
    11,
    expect.stringContaining("its programs are of an older"),
  ]);
  const bring = error?.fix ?? [];
  for (const one of [told, words(run)]) expect(one).toContain(bring.join(" "));
  expect(bring[0]).toBe("rsync");
  expect(await said(lab.shadow, ["sh", "-c", hashes])).toBe(before);

  await said(lab.phantom, ["sh", "-c", 'cd "$0" && exec "$@"', HOME, ...bring], USER);
  expect((await report("05_rsync_mirror")).code).toBe(0);
  expect(textIn(lab.shadow, "agents/c.yaml")).toBe("for: shadow\n");
  expect((await here("02_scaffold_dirs", "--host", "shadow", "--plan")).stderr).toBe("");
}, 240_000);

/** The programs as an earlier release might have been: with a lower version, and an earlier form of the mirror. */
async function olderRelease(): Promise<string> {
  const clone = join(folder, "older");
  for (const part of ["lib", "scripts", "models", "package.json", "tsconfig.json"])
    cpSync(join(REPOSITORY, part), join(clone, part), { recursive: true });
  symlinkSync(join(REPOSITORY, "node_modules"), join(clone, "node_modules"));
  for (const [path, from, to] of [
    ["package.json", /"version": "[^"]+"/, '"version": "0.0.9"'],
    ["lib/mirror/wire.ts", /WIRE = \d+;/, "WIRE = 0;"],
  ] as const) {
    const text = readFileSync(join(clone, path), "utf8");
    expect(text).toMatch(from);
    writeFileSync(join(clone, path), text.replace(from, to));
  }
  await must([process.execPath, join(clone, "scripts/build.ts")]);
  return join(clone, "bin");
}
