/** The services on a booted host: installed by root, run as the home's owner, killed and frozen, asked through the gateway, and taken back without a trace. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  cpSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { engineHome } from "../support/engine_home.ts";
import { difference, listing } from "../support/listing.ts";
import { documentOf } from "../support/program.ts";
import { bootHost, type LabHost } from "./host.ts";
import { giveBinaries, HOME, PACKAGES, said, USER } from "./two_hosts.ts";

const UNITS = [
  "shelter-act.socket",
  "shelter-engine.service",
  "shelter-gateway.service",
  "shelter-watch.service",
];
const TOP = "/usr/local/lib/mountain-shelter";

let host: LabHost;
let before: readonly string[];
const watched = () => listing(host.root, ["etc", "usr/local"], ["usr"]);

beforeAll(async () => {
  const engine = await engineHome();
  host = await bootHost({ name: "shadow", release: "bookworm", include: PACKAGES, user: USER });
  giveBinaries(host, process.env["SHELTER_TEST_BIN"] ?? "bin");
  for (const part of ["runtime/llama.cpp", "runtime/verified", "models"]) {
    cpSync(join(engine, part), join(host.root, HOME, part), {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
  provenAgain(join(host.root, HOME));
  keepOneBefore(join(host.root, HOME, "runtime/llama.cpp"));
  await said(host, ["chown", "-R", `${USER}:${USER}`, `/home/${USER}`]);
  before = watched();
}, 1_200_000);
afterAll(async () => {
  await host?.stop();
}, 120_000);

/** A copied file has another inode and time: its proof is told, so that nothing need be fetched here. */
function provenAgain(home: string): void {
  const folder = join(home, "runtime/verified");
  for (const name of readdirSync(folder)) {
    const { ino, mtimeMs, ctimeMs } = statSync(
      join(home, "models/sha256", name.replace(".json", "")),
    );
    const proof = JSON.parse(readFileSync(join(folder, name), "utf8")) as Record<string, unknown>;
    const now = {
      ...proof,
      inode: ino,
      mtime: mtimeMs,
      ...("ctime" in proof ? { ctime: ctimeMs } : {}),
    };
    writeFileSync(join(folder, name), JSON.stringify(now));
  }
}

/** The build that is there to go back to: the live one's files once more, under another id. */
const BEFORE = "b-0123456789ab";
function keepOneBefore(engines: string): void {
  const live = readlinkSync(join(engines, "current"));
  for (const name of readdirSync(engines)) {
    if (name.startsWith("b-") && name !== live) rmSync(join(engines, name), { recursive: true });
  }
  cpSync(join(engines, live), join(engines, BEFORE), { recursive: true });
  for (const [name, key] of [
    ["build-info.json", "id"],
    ["proof.json", "build"],
  ] as const) {
    const document = JSON.parse(readFileSync(join(engines, live, name), "utf8")) as object;
    writeFileSync(join(engines, BEFORE, name), JSON.stringify({ ...document, [key]: BEFORE }));
  }
}

/** Runs one of our names as root, as sudo would. */
const asRoot = (name: string, ...flags: readonly string[]) =>
  host.run([`${HOME}/bin/${name}`, ...flags, "--home", HOME], {
    env: { SUDO_UID: "1000", SUDO_GID: "1000", SUDO_USER: USER },
  });
/** Runs a line of JavaScript on the host: the program is also Bun. */
const script = (code: string, as = USER) => {
  const env = { BUN_BE_BUN: "1" };
  if (as === USER) return host.run([`${HOME}/bin/shelter`, "-e", code], { as, env });
  const person = ["setpriv", `--reuid=${as}`, "--regid=nogroup", "--clear-groups"];
  return host.run([...person, `${TOP}/current/shelter`, "-e", code], { env });
};
const property = async (unit: string, name: string) =>
  (await said(host, ["systemctl", "show", "--value", `--property=${name}`, unit])).trim();
const states = () => Promise.all(UNITS.map((unit) => property(unit, "ActiveState")));

/** What a real answer looks like. */
const RIGHT = /^200 .*\b2\b.*\b3\b.*\b4\b/s;
/** Asks through the gateway; the answer's text, or why there is none. */
async function ask(): Promise<string> {
  const ran = await script(`
    const key = (await Bun.file("${HOME}/runtime/services/gateway.key").text()).trim();
    const response = await fetch("http://127.0.0.1:8770/v1/chat/completions", { method: "POST",
      headers: { authorization: "Bearer " + key, "content-type": "application/json" },
      body: JSON.stringify({ messages: [{ role: "user", content: "Count from 1 to 20." }], max_tokens: 16, temperature: 0 }) });
    const said = await response.json();
    console.log(response.status, said.choices?.[0]?.message?.content ?? JSON.stringify(said), response.headers.get("x-shelter-served-by") ?? "");`);
  return ran.stdout + ran.stderr;
}
async function until(holds: () => Promise<boolean>, seconds: number, what: string): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    if (await holds()) return;
    await Bun.sleep(200);
  }
  const units = ["shelter-engine", "shelter-gateway", "shelter-watch", "shelter-act@*"];
  const journal = await host.run([
    "journalctl",
    "--no-pager",
    "-n",
    "60",
    ...units.flatMap((one) => ["-u", one]),
  ]);
  throw new Error(`not within ${seconds} s: ${what}\n${journal.stdout}`);
}
const isUp = async (unit: string) => (await property(unit, "ActiveState")) === "active";

describe("installing", () => {
  test("the other kind's script is refused with the right command, and nobody but root may", async () => {
    const other = await asRoot("06_phantom_watchdog", "--yes", "--json");
    expect(other.code).toBe(11);
    expect(documentOf(other)).toMatchObject({
      outcome: "blocked",
      error: { id: "other-hosts-script", fix: ["sudo", "./bin/06_shadow_control"] },
    });
    const user = await host.run([`${HOME}/bin/06_shadow_control`, "--yes", "--json"], { as: USER });
    expect(documentOf(user)).toMatchObject({ outcome: "blocked", error: { id: "needs-root" } });
    expect(difference(before, watched())).toEqual([]);
  }, 60_000);

  test("root installs them, all run, and a second time there is nothing to do", async () => {
    const first = await asRoot("06_shadow_control", "--yes", "--json");
    expect({ code: first.code, all: first.code === 0 ? "" : first.stdout + first.stderr }).toEqual({
      code: 0,
      all: "",
    });
    expect(await states()).toEqual(["active", "active", "active", "active"]);
    const second = await asRoot("06_shadow_control", "--yes", "--json");
    expect(documentOf(second)).toMatchObject({ outcome: "converged" });
  }, 240_000);

  test("they run as the home's owner from files that only root can change", async () => {
    for (const unit of UNITS.slice(1)) {
      const pid = await property(unit, "MainPID");
      const status = await said(host, ["cat", `/proc/${pid}/status`]);
      expect([unit, /^Uid:\t(\d+)/m.exec(status)?.[1], /^CapEff:\t0*$/m.test(status)]).toEqual([
        unit,
        "1000",
        true,
      ]);
      expect((await said(host, ["readlink", `/proc/${pid}/exe`])).trim()).toStartWith(`${TOP}/`);
    }
    const open = await said(host, [
      "find",
      TOP,
      "!",
      "-user",
      "root",
      "-o",
      "-perm",
      "/022",
      "!",
      "-type",
      "l",
    ]);
    expect(open).toBe("");
  }, 60_000);
});

describe("serving", () => {
  test("the engine answers through the gateway", async () => {
    await until(async () => (await ask()).startsWith("200"), 60, "an answer");
    expect(await ask()).toMatch(RIGHT);
  }, 90_000);

  test("no port of the engine answers without its key, also not the instances' own", async () => {
    const listening = await said(host, ["ss", "-Hltnp"]);
    const ports = listening
      .split("\n")
      .flatMap((line) => (line.includes("llama-server") ? (/:(\d+) /.exec(line)?.[1] ?? []) : []));
    expect(ports.length).toBeGreaterThanOrEqual(2);
    for (const port of ports) {
      const ran = await script(
        `const r = await fetch("http://127.0.0.1:${port}/v1/chat/completions", { method: "POST", body: "{}" }); console.log(r.status)`,
      );
      expect([port, ran.stdout.trim()]).toEqual([port, "401"]);
    }
    expect(listening).not.toMatch(/0\.0\.0\.0:87\d\d|\*:87\d\d|\[::\]:87\d\d/);
  }, 60_000);

  test("the engine sees no other key of the host, and nothing of the home but its own", async () => {
    const pid = await property("shelter-engine.service", "MainPID");
    const inside = (path: string) =>
      host.run(["nsenter", "--target", pid, "--mount", "ls", "-A", path]);
    expect((await inside(`/home/${USER}`)).stdout.trim()).toBe(".mountain_shelter");
    expect((await inside(`${HOME}/models`)).stdout).toContain(".gguf");
    const write = await host.run([
      "nsenter",
      "--target",
      pid,
      "--mount",
      "setpriv",
      `--reuid=${USER}`,
      `--regid=${USER}`,
      "--init-groups",
      "touch",
      `${HOME}/models/x`,
    ]);
    expect(write.stderr).toContain("Read-only");
  }, 60_000);
});

describe("dying", () => {
  test("an engine that is killed comes back, and the gateway never notices by a restart of its own", async () => {
    const gateway = await property("shelter-gateway.service", "MainPID");
    for (const whom of ["main", "router"] as const) {
      const engine = await property("shelter-engine.service", "MainPID");
      const pid =
        whom === "main" ? engine : (await said(host, ["pgrep", "-o", "-x", "llama-server"])).trim();
      await said(host, ["kill", "-9", pid]);
      await until(
        async () =>
          (await property("shelter-engine.service", "MainPID")) !== engine &&
          (await isUp("shelter-engine.service")),
        60,
        `the engine after kill -9 of its ${whom}`,
      );
      await until(async () => RIGHT.test(await ask()), 60, "an answer");
    }
    expect(await property("shelter-gateway.service", "MainPID")).toBe(gateway);
    expect(await property("shelter-gateway.service", "NRestarts")).toBe("0");
  }, 240_000);

  test("a frozen gateway is ended by systemd's watchdog and started anew, the engine stays", async () => {
    const [engine, gateway] = [
      await property("shelter-engine.service", "MainPID"),
      await property("shelter-gateway.service", "MainPID"),
    ];
    await said(host, ["kill", "-STOP", gateway]);
    await until(
      async () =>
        (await property("shelter-gateway.service", "MainPID")) !== gateway &&
        (await isUp("shelter-gateway.service")),
      90,
      "the gateway after SIGSTOP",
    );
    await until(async () => RIGHT.test(await ask()), 60, "an answer");
    expect(await property("shelter-engine.service", "MainPID")).toBe(engine);
  }, 240_000);
});

/** Says one word to root's socket; its answer. */
const tell = (word: string, as: string) =>
  script(
    `
    const { createConnection } = require("node:net");
    const c = createConnection("/run/shelter-act.sock", () => c.write(${JSON.stringify(word)} + "\\n"));
    c.on("data", (d) => process.stdout.write(d)); c.on("error", (e) => console.log(e.code));`,
    as,
  );

describe("root's acts", () => {
  test("the home's owner may ask for a word of the list, and nobody else for anything", async () => {
    const engine = await property("shelter-engine.service", "MainPID");
    expect((await tell("restart-engine", USER)).stdout).toBe("ok\n");
    await until(
      async () =>
        (await property("shelter-engine.service", "MainPID")) !== engine &&
        (await isUp("shelter-engine.service")),
      60,
      "the engine after restart-engine",
    );
    expect((await tell("rm -rf /", USER)).stdout).toBe("");
    expect((await tell("restart-engine", "nobody")).stdout.trim()).toBe("EACCES");
  }, 120_000);
});

describe("the last good generation", () => {
  const running = async () => {
    const pid = (await said(host, ["pgrep", "-o", "-x", "llama-server"])).trim();
    return (await said(host, ["readlink", `/proc/${pid}/exe`])).trim();
  };
  test("root puts the build before in the live one's place, and the finding says so", async () => {
    const engine = await property("shelter-engine.service", "MainPID");
    expect(await running()).not.toContain(BEFORE);
    expect((await tell("previous-engine", USER)).stdout).toBe("ok\n");
    await until(
      async () =>
        (await property("shelter-engine.service", "MainPID")) !== engine &&
        (await isUp("shelter-engine.service")),
      60,
      "the engine after previous-engine",
    );
    expect(await running()).toBe(`${TOP}/engine/${BEFORE}/bin/llama-server`);
    const seen = documentOf(await asRoot("06_shadow_control", "--verify", "--json"));
    expect(JSON.stringify(seen)).toContain("engine-given-up");
  }, 120_000);
});

describe("limits", () => {
  test("an engine that can't start is given up after five tries, and the gateway goes on", async () => {
    await said(host, ["systemctl", "stop", "shelter-watch.service"]);
    await said(host, [
      "sh",
      "-c",
      `mv ${HOME}/models ${HOME}/models.away && mkdir ${HOME}/models && chown ${USER}: ${HOME}/models`,
    ]);
    await said(host, ["systemctl", "reset-failed", "shelter-engine.service"]);
    await host.run(["systemctl", "restart", "shelter-engine.service"]);
    await until(
      async () =>
        (await property("shelter-engine.service", "Result")) === "start-limit-hit" ||
        (await property("shelter-engine.service", "ActiveState")) === "failed",
      90,
      "systemd giving up",
    );
    await Bun.sleep(3000);
    expect(await property("shelter-engine.service", "ActiveState")).toBe("failed");
    expect(Number(await property("shelter-engine.service", "NRestarts"))).toBeLessThanOrEqual(5);
    expect(await isUp("shelter-gateway.service")).toBe(true);
    await said(host, ["sh", "-c", `rmdir ${HOME}/models && mv ${HOME}/models.away ${HOME}/models`]);
    await said(host, ["systemctl", "reset-failed", "shelter-engine.service"]);
    await said(host, ["systemctl", "start", "shelter-engine.service", "shelter-watch.service"]);
  }, 240_000);

  test("systemd's own judgement of what each is exposed to", async () => {
    for (const unit of UNITS.slice(1)) {
      const judged = await said(host, ["systemd-analyze", "security", "--no-pager", unit]);
      const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(judged)?.[1]);
      console.log(`${unit}: exposure ${exposure}`);
      expect(exposure).toBeLessThan(3);
    }
  }, 60_000);
});

test("taken back, no unit, no release, no link and no process is left", async () => {
  const undone = await asRoot("06_shadow_control", "--undo", "--json");
  expect({
    code: undone.code,
    all: undone.code === 0 ? "" : undone.stdout + undone.stderr,
  }).toEqual({ code: 0, all: "" });
  expect(difference(before, watched())).toEqual([]);
  expect(
    await said(host, ["systemctl", "list-units", "--all", "--no-legend", "--plain", "shelter-*"]),
  ).toBe("");
  expect((await host.run(["pgrep", "-x", "llama-server"])).code).toBe(1);
  expect((await host.run(["test", "-e", "/run/shelter-act.sock"])).code).toBe(1);
  expect((await host.run(["test", "-e", `${HOME}/runtime/services`])).code).toBe(1);
}, 120_000);
