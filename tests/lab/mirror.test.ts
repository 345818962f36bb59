/** Two booted hosts that mirror each other, with real ssh and rsync: what arrives, what is refused, what a cut, a kill and a full disk leave behind. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import type { RunReport } from "../../lib/unit.ts";
import type { LabHost, Said } from "./host.ts";
import {
  byMirrorKey,
  generationOn,
  giveRelease,
  halfIn,
  inside,
  madeAt,
  put,
  replay,
  textIn,
} from "./mirrored.ts";
import { bootPairedHosts, HOME, said, type TwoHosts, USER } from "./two_hosts.ts";

const MIRROR = "05_rsync_mirror";
const LOGS = "logs/memory/phantom/00_check_structure";

let lab: TwoHosts;
beforeAll(async () => {
  lab = await bootPairedHosts(process.env["SHELTER_TEST_BIN"] ?? "bin");
}, 600_000);
afterAll(async () => {
  await lab.stop();
}, 120_000);

const run = (host: LabHost, ...flags: string[]) => lab.shelter(host, [MIRROR, ...flags]);

/** A run that must end well; gives its report. */
async function good(host: LabHost, ...flags: string[]): Promise<RunReport> {
  const ran = await run(host, "--json", ...flags);
  if (ran.code !== 0) throw new Error(`${host.name}: ${ran.code}: ${ran.stderr}\n${ran.stdout}`);
  return JSON.parse(ran.stdout) as RunReport;
}

const findings = (report: RunReport) => report.findings.map((one) => one.what).join("\n");
const text = ({ stdout, stderr }: Said) => stdout + stderr;
const hashOf = (bytes: Uint8Array) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

/** A model of random bytes, under its name and hash. */
function giveModel(host: LabHost, name: string, size: number): string {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  const hash = hashOf(bytes);
  put(host, `models/sha256/${hash}`, bytes);
  symlinkSync(`sha256/${hash}`, inside(host, `models/${name}.gguf`));
  return hash;
}

let model = "";

test("--plan says what would move and its bytes, and writes nothing on either host", async () => {
  put(lab.phantom, "shared.cfg", "# one for both\n");
  put(lab.phantom, "agents/scout/manifest.yaml", "name: scout\n");
  put(lab.phantom, `${LOGS}/20260101-0000.log`, '{"line":"a"}\n');
  model = giveModel(lab.phantom, "tiny", 3_000_000);
  const tree = (host: LabHost) =>
    said(host, ["find", HOME, "-not", "-path", "*/locks*", "-printf", "%p %s %m %T@ %l\n"]);
  const before = [await tree(lab.phantom), await tree(lab.shadow)];
  const plan = await run(lab.phantom, "--plan");
  expect(plan.code).toBe(10);
  expect(plan.stdout).toContain("tiny  2.9 MiB");
  expect(plan.stdout).toContain("agents/scout/manifest.yaml");
  expect([await tree(lab.phantom), await tree(lab.shadow)]).toEqual(before);
}, 60_000);

test("what one has the other gets, both ways, verified, and a second run changes nothing", async () => {
  expect((await good(lab.phantom)).outcome).toBe("changed");
  for (const path of ["shared.cfg", "agents/scout/manifest.yaml", `${LOGS}/20260101-0000.log`])
    expect(textIn(lab.shadow, path)).toBe(textIn(lab.phantom, path) ?? "nothing here");
  expect(hashOf(readFileSync(inside(lab.shadow, `models/sha256/${model}`)))).toBe(model);
  expect(lstatSync(inside(lab.shadow, "status/phantom")).isSymbolicLink()).toBe(true);
  expect(readFileSync(inside(lab.shadow, "models/tiny.gguf")).length).toBe(3_000_000);

  put(lab.shadow, "dashboards/page.html", "<p>from shadow\n");
  const other = giveModel(lab.shadow, "other", 200_000);
  expect((await good(lab.shadow)).outcome).toBe("changed");
  expect(textIn(lab.phantom, "dashboards/page.html")).toBe("<p>from shadow\n");
  expect(existsSync(inside(lab.phantom, `models/sha256/${other}`))).toBe(true);
  expect(textIn(lab.phantom, "logs/journal/shadow/00000000.jsonl")).toContain('"script"');

  await good(lab.phantom); // shadow's page is the same on both now, and both write that down
  expect((await good(lab.phantom)).outcome).toBe("converged");
  expect((await good(lab.shadow)).outcome).toBe("converged");
}, 120_000);

test("odd names arrive; devices, pipes, links that lead out and names that are no text are named and stay", async () => {
  const odd = ["agents/two\nlines", "agents/-rf", "agents/a 'quoted' \"name\"", "agents/ünï"];
  for (const path of odd) put(lab.phantom, path, path);
  put(lab.phantom, "agents/one/real", "real\n");
  await said(lab.phantom, ["ln", "-s", "one/real", `${HOME}/agents/inner`], USER);
  await said(lab.phantom, ["ln", "-s", "/etc/passwd", `${HOME}/agents/outer`], USER);
  await said(lab.phantom, ["mkfifo", `${HOME}/agents/pipe`], USER);
  await said(lab.phantom, ["mknod", `${HOME}/agents/null`, "c", "1", "3"]);
  await said(lab.phantom, ["sh", "-c", `touch "$(printf '${HOME}/agents/\\377')"`], USER);
  const report = await good(lab.phantom);
  for (const path of odd) expect(textIn(lab.shadow, path)).toBe(path);
  expect(textIn(lab.shadow, "agents/inner")).toBe("real\n");
  for (const name of ["outer", "pipe", "null"]) {
    expect(existsSync(inside(lab.shadow, `agents/${name}`))).toBe(false);
    expect(findings(report)).toContain(`agents/${name} is not mirrored`);
  }
  expect(findings(report)).toContain("not UTF-8");
  expect((await good(lab.phantom)).outcome).toBe("converged");
  for (const name of ["outer", "pipe", "null"])
    await said(lab.phantom, ["rm", `${HOME}/agents/${name}`]);
  await said(lab.phantom, ["sh", "-c", `rm ${HOME}/agents/*"$(printf '\\377')"`]);
}, 60_000);

test("a reader on the other side sees one generation or the next, never half of one", async () => {
  let looked = 0;
  const done = new AbortController();
  const reader = (async () => {
    while (!done.signal.aborted) {
      const generation = generationOn(lab.shadow, "phantom");
      if (generation !== undefined) {
        expect(halfIn(lab.shadow, "phantom", generation)).toEqual([]);
        looked++;
      }
      await Bun.sleep(5);
    }
  })();
  for (let turn = 0; turn < 6; turn++) {
    put(lab.phantom, `${LOGS}/turn-${turn}.log`, `{"turn":${turn}}\n`.repeat(5000));
    await good(lab.phantom);
  }
  done.abort();
  await reader;
  expect(looked).toBeGreaterThan(20);
}, 120_000);

test("--undo brings the generation before back, and what it replaced", async () => {
  const before = generationOn(lab.shadow, "phantom");
  put(lab.phantom, "shared.cfg", "# changed on phantom\n");
  await good(lab.phantom);
  expect(textIn(lab.shadow, "shared.cfg")).toBe("# changed on phantom\n");
  expect(generationOn(lab.shadow, "phantom")).not.toBe(before);
  const undone = await run(lab.phantom, "--undo");
  expect({ code: undone.code, said: undone.code === 0 ? "" : text(undone) }).toEqual({
    code: 0,
    said: "",
  });
  expect(generationOn(lab.shadow, "phantom")).toBe(before as string);
  expect(textIn(lab.shadow, "shared.cfg")).toBe("# one for both\n");
  await good(lab.phantom);
  expect(textIn(lab.shadow, "shared.cfg")).toBe("# changed on phantom\n");
}, 60_000);

test("both changed: nothing is overwritten, the difference is shown, and each choice is one command", async () => {
  put(lab.phantom, "agents/scout/manifest.yaml", "name: scout\nby: phantom\n");
  put(lab.shadow, "agents/scout/manifest.yaml", "name: scout\nby: shadow\n");
  put(lab.phantom, "dashboards/page.html", "<p>phantom's\n");
  put(lab.shadow, "dashboards/page.html", "<p>shadow's\n");
  const report = await good(lab.phantom);
  expect(report.picture?.join("\n")).toContain("-by: phantom");
  expect(report.picture?.join("\n")).toContain("+by: shadow");
  expect(textIn(lab.shadow, "agents/scout/manifest.yaml")).toContain("by: shadow");
  expect(textIn(lab.phantom, "agents/scout/manifest.yaml")).toContain("by: phantom");
  await good(lab.phantom, "--take", "mine", "agents/scout/manifest.yaml");
  expect(textIn(lab.shadow, "agents/scout/manifest.yaml")).toContain("by: phantom");
  await good(lab.phantom, "--take", "theirs", "dashboards/page.html");
  expect(textIn(lab.phantom, "dashboards/page.html")).toBe("<p>shadow's\n");
  expect(textIn(lab.shadow, "dashboards/page.html")).toBe("<p>shadow's\n");
  expect(findings(await good(lab.phantom))).not.toContain("both versions");
}, 60_000);

test("a damaged model is never sent on, and is repaired from the other side", async () => {
  const flip = (host: LabHost, at: number) =>
    said(
      host,
      [
        "dd",
        "if=/dev/zero",
        "bs=1",
        "count=16",
        "conv=notrunc",
        `seek=${at}`,
        `of=${HOME}/models/sha256/${model}`,
      ],
      USER,
    );
  const isSound = (host: LabHost) =>
    hashOf(readFileSync(inside(host, `models/sha256/${model}`))) === model;
  await flip(lab.shadow, 1_000_000);
  expect(isSound(lab.shadow)).toBe(false);
  await good(lab.shadow);
  expect(isSound(lab.shadow)).toBe(true);
  expect(isSound(lab.phantom)).toBe(true);
  expect(readdirSync(inside(lab.shadow, "runtime/quarantine")).length).toBe(1);

  await said(lab.phantom, ["truncate", "-s", "-100", `${HOME}/models/sha256/${model}`], USER);
  await good(lab.phantom);
  expect(isSound(lab.phantom)).toBe(true);
  expect(isSound(lab.shadow)).toBe(true);
}, 60_000);

test("a log that shrank is held back, and the other side keeps what it has", async () => {
  const path = `${LOGS}/20260101-0000.log`;
  const whole = textIn(lab.phantom, path) ?? "";
  put(lab.phantom, path, whole.slice(0, 5));
  put(lab.phantom, `${LOGS}/20260101-0001.log`, "{}\n");
  const report = await good(lab.phantom);
  expect(findings(report)).toContain(`${path} is not sent on`);
  expect(textIn(lab.shadow, path)).toBe(whole);
  put(lab.phantom, path, whole);
  expect((await good(lab.phantom)).outcome).toBe("converged");
}, 60_000);

test("a cable that is pulled amid a run leaves the peer as it was, and the next run goes on", async () => {
  const before = generationOn(lab.shadow, "phantom");
  const large = giveModel(lab.phantom, "large", 600_000_000);
  const arriving = inside(lab.shadow, `runtime/mirror/phantom/models/${large}`);
  const running = run(lab.phantom);
  while (!existsSync(arriving) || lstatSync(arriving).size < 20_000_000) await Bun.sleep(10);
  await lab.cable(false);
  const cut = await running;
  expect(cut.code).toBe(13);
  expect(text(cut)).toContain("did not answer");
  expect(generationOn(lab.shadow, "phantom")).toBe(before as string);
  expect(existsSync(inside(lab.shadow, `models/sha256/${large}`))).toBe(false);
  const there = lstatSync(arriving).size;
  expect(there).toBeGreaterThan(20_000_000);
  await lab.cable(true);
  await good(lab.phantom);
  expect(hashOf(readFileSync(inside(lab.shadow, `models/sha256/${large}`)))).toBe(large);
  for (const host of [lab.phantom, lab.shadow])
    await said(host, ["rm", `${HOME}/models/sha256/${large}`, `${HOME}/models/large.gguf`]);
}, 180_000);

test("a full disk and a read-only home are said, change nothing, and are no matter once they are gone", async () => {
  const before = generationOn(lab.shadow, "phantom");
  const folder = `${HOME}/runtime/mirror/phantom/models`;
  const large = giveModel(lab.phantom, "wide", 30_000_000);
  await said(lab.shadow, ["mkdir", "-p", folder], USER);
  const options = `size=8m,uid=1000,gid=1000,mode=700`;
  await said(lab.shadow, ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]);
  const full = await run(lab.phantom);
  await said(lab.shadow, ["umount", folder]);
  expect(full.code).toBe(13);
  expect(text(full)).toContain("disk of shadow is full");
  expect(generationOn(lab.shadow, "phantom")).toBe(before as string);

  await said(lab.shadow, ["mount", "--bind", HOME, HOME]);
  await said(lab.shadow, ["mount", "-o", "remount,bind,ro", HOME]);
  const readOnly = await run(lab.phantom);
  await said(lab.shadow, ["umount", HOME]);
  expect(readOnly.code).toBe(11);
  expect(text(readOnly)).toContain("home on shadow is read-only");

  await good(lab.phantom);
  expect(hashOf(readFileSync(inside(lab.shadow, `models/sha256/${large}`)))).toBe(large);
}, 120_000);

test("the mirror's key opens nothing but the mirror", async () => {
  for (const line of [
    "rsync --server -tpRe.LsfxCIvu . .ssh/",
    "rsync --server --sender -te.LsfxCIvu . runtime/identity/mirror",
    "rsync --server -tpRse.LsfxCIvu . 00000001.partial/",
    "read Li4vLi4vZXRjL3Bhc3N3ZA",
    "offer ../../etc/passwd",
    "sh -c id",
  ]) {
    const ran = await byMirrorKey(lab, "/dev/null", ...line.split(" "));
    expect({ line, code: ran.code }).toEqual({ line, code: 11 });
    expect(ran.stdout).not.toContain("uid=");
  }
}, 60_000);

test("programs go live signed, and a signed older release does not come back by the peer's doing, only by an operator's", async () => {
  const KEY = "bin/hosts/shadow";
  const older = readFileSync(inside(lab.phantom, "bin/shelter"));
  const newer = madeAt(older, "2099-01-01T00:00:00.000Z");
  const madeOnShadow = async () => {
    const ran = await lab.shelter(lab.shadow, ["shelter", "--version", "--json"]);
    return (JSON.parse(ran.stdout) as { made: string }).made;
  };
  const before = await madeOnShadow();
  giveRelease(lab.phantom, "shadow", newer);
  await good(lab.phantom, "--take", "mine", KEY);
  expect(await madeOnShadow()).toStartWith("2099");
  const undone = await run(lab.phantom, "--undo");
  expect({ code: undone.code, said: undone.stderr }).toEqual({ code: 0, said: "" });
  expect(await madeOnShadow()).toBe(before);
  await good(lab.phantom, "--take", "mine", KEY);
  expect(await madeOnShadow()).toStartWith("2099");

  giveRelease(lab.phantom, "shadow", older);
  expect(text(await run(lab.phantom, "--plan"))).toContain("shadow are held back: they are older");
  expect(findings(await good(lab.phantom, "--take", "mine", KEY))).toContain("are held back");
  expect(await madeOnShadow()).toStartWith("2099");

  const replayed = await replay(lab, KEY);
  expect(replayed).toMatchObject({ done: true, older: true });
  expect(replayed.programs).toContain(`on shadow: ./bin/05_rsync_mirror --take theirs ${KEY}`);
  expect(await madeOnShadow()).toStartWith("2099");

  const far = await run(lab.phantom, "--host", "shadow", "--take", "theirs", KEY);
  expect(far.code).toBe(11);
  expect(text(far)).toContain("is not for a peer to say");
  await good(lab.shadow, "--take", "theirs", KEY);
  expect(await madeOnShadow()).toStartWith("2099");
  await good(lab.phantom);
  expect(await madeOnShadow()).toBe(before);
  expect((await run(lab.phantom, "--undo")).code).toBe(0);
  expect(await madeOnShadow()).toStartWith("2099");
  giveRelease(lab.phantom, "shadow", newer);
}, 180_000);

/** Kills that hit a run that was under way, and runs after which it is given up to reach so many. */
const KILLS = 100;
const TURNS = 400;

test("100 kill -9 at random moments: no half-visible file, and nothing lost", async () => {
  await good(lab.phantom);
  const lines: string[] = [];
  const versions = new Set([textIn(lab.shadow, "shared.cfg")]);
  let half = 0;
  let hit = 0;
  let version = "";
  for (let turn = 0; turn < TURNS && hit < KILLS; turn++) {
    lines.push(`{"turn":${turn},"pad":"${"x".repeat(2000)}"}\n`);
    put(lab.phantom, `${LOGS}/killed.log`, lines.join(""));
    version = `# version ${turn}\n`;
    put(lab.phantom, "shared.cfg", version);
    versions.add(version);
    if (await killed(turn % 3 === 2 ? "there" : "here", Math.random() * 1.1)) hit++;
    const generation = generationOn(lab.shadow, "phantom");
    if (generation !== undefined) half += halfIn(lab.shadow, "phantom", generation).length;
    expect(versions).toContain(textIn(lab.shadow, "shared.cfg"));
  }
  const after = await good(lab.phantom);
  if (textIn(lab.shadow, "shared.cfg") !== version) {
    // killed between the two hosts' notes of it, a version can look like one that the other side made: then both are kept, and the choice is one command
    expect(findings(after)).toContain("shared.cfg");
    await good(lab.phantom, "--take", "mine", "shared.cfg");
  }
  const lost = textIn(lab.shadow, `${LOGS}/killed.log`) === lines.join("") ? 0 : 1;
  expect({ hit, half, lost }).toEqual({ hit: KILLS, half: 0, lost: 0 });
  expect(textIn(lab.shadow, "shared.cfg")).toBe(version);
}, 900_000);

/** Starts a run and kills it, or what serves it on the other side, after so many seconds; tells whether there was something to kill. */
async function killed(side: "here" | "there", seconds: number): Promise<boolean> {
  // one that has ended and was not waited for yet can still be sent a signal
  const kill =
    side === "here" ? "grep -qv ') Z ' /proc/$p/stat && kill -9 $p && echo killed" : "true";
  const command = `${HOME}/bin/${MIRROR} >/dev/null 2>&1 & p=$!; sleep ${seconds.toFixed(3)}; ${kill}; wait $p 2>/dev/null; true`;
  const running = lab.phantom.run(["sh", "-c", command], { as: USER });
  let hit = false;
  if (side === "there") {
    await Bun.sleep(seconds * 1000);
    const found = await lab.shadow.run(["pkill", "-9", "-u", USER, "-x", "shelter|rsync"]);
    hit = found.code === 0;
  }
  return (await running).stdout.includes("killed") || hit;
}

test("the timer mirrors by itself, in its sandbox", async () => {
  // the programs that services run from, as installing the services puts them
  const place = `${lab.phantom.root}/usr/local/lib/mountain-shelter/current`;
  mkdirSync(place, { recursive: true });
  writeFileSync(`${place}/shelter`, readFileSync(inside(lab.phantom, "bin/shelter")), {
    mode: 0o755,
  });
  const set = await lab.phantom.run([`${HOME}/bin/${MIRROR}`, "--home", HOME, "--yes"]);
  expect({ code: set.code, said: set.code === 0 ? "" : text(set) }).toEqual({ code: 0, said: "" });
  expect(await said(lab.phantom, ["systemctl", "is-active", "shelter-mirror.timer"])).toContain(
    "active",
  );
  put(lab.phantom, `${LOGS}/by-timer.log`, "{}\n");
  await said(lab.phantom, ["systemctl", "start", "shelter-mirror.service"]);
  expect(textIn(lab.shadow, `${LOGS}/by-timer.log`)).toBe("{}\n");
  const undone = await lab.phantom.run([`${HOME}/bin/${MIRROR}`, "--home", HOME, "--undo"]);
  expect(undone.code).toBe(0);
}, 120_000);
