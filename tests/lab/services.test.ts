/** The services on a booted host: installed by root, run as the home's owner, killed and frozen, asked through the gateway, and taken back without a trace. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { difference, listing } from "../support/listing.ts";
import { documentOf } from "../support/program.ts";
import { bootHost, type LabHost } from "./host.ts";
import { ask, asRoot, giveBuildBefore, giveEngine, property } from "./served_host.ts";
import { HOME, PACKAGES, said, USER } from "./two_hosts.ts";

const UNITS = [
  "shelter-act.socket",
  "shelter-engine.service",
  "shelter-gateway.service",
  "shelter-watch.service",
];
const TOP = "/usr/local/lib/mountain-shelter";

let host: LabHost;
let before: readonly string[];
let builds: { readonly live: string; readonly before: string };
const watched = () => listing(host.root, ["etc", "usr/local"], ["usr"]);

beforeAll(async () => {
  host = await bootHost({ name: "shadow", release: "bookworm", include: PACKAGES, user: USER });
  await giveEngine(host, process.env["SHELTER_TEST_BIN"] ?? "bin");
  builds = await giveBuildBefore(host);
  before = watched();
}, 1_200_000);
afterAll(async () => {
  await host?.stop();
}, 120_000);

/** Runs a line of JavaScript on the host: the program is also Bun. */
const script = (code: string, as = USER) => {
  const env = { BUN_BE_BUN: "1" };
  if (as === USER) return host.run([`${HOME}/bin/shelter`, "-e", code], { as, env });
  const person = ["setpriv", `--reuid=${as}`, "--regid=nogroup", "--clear-groups"];
  return host.run([...person, `${TOP}/current/shelter`, "-e", code], { env });
};
const states = () => Promise.all(UNITS.map((unit) => property(host, unit, "ActiveState")));

/** What a real answer looks like. */
const RIGHT = /^200 .*\b2\b.*\b3\b.*\b4\b/s;
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
const isUp = async (unit: string) => (await property(host, unit, "ActiveState")) === "active";

describe("installing", () => {
  test("the other kind's script is refused with the right command, and nobody but root may", async () => {
    const other = await asRoot(host, "06_phantom_watchdog", "--yes", "--json");
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
    const first = await asRoot(host, "06_shadow_control", "--yes", "--json");
    expect({ code: first.code, all: first.code === 0 ? "" : first.stdout + first.stderr }).toEqual({
      code: 0,
      all: "",
    });
    expect(await states()).toEqual(["active", "active", "active", "active"]);
    const second = await asRoot(host, "06_shadow_control", "--yes", "--json");
    expect(documentOf(second)).toMatchObject({ outcome: "converged" });
  }, 240_000);

  test("they run as the home's owner from files that only root can change", async () => {
    for (const unit of UNITS.slice(1)) {
      const pid = await property(host, unit, "MainPID");
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
    await until(async () => (await ask(host)).startsWith("200"), 60, "an answer");
    expect(await ask(host)).toMatch(RIGHT);
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
    const pid = await property(host, "shelter-engine.service", "MainPID");
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
    const gateway = await property(host, "shelter-gateway.service", "MainPID");
    for (const [whom, signal] of [
      ["main", "-KILL"],
      ["router", "-KILL"],
      ["main", "-TERM"],
    ] as const) {
      const engine = await property(host, "shelter-engine.service", "MainPID");
      const pid =
        whom === "main" ? engine : (await said(host, ["pgrep", "-o", "-x", "llama-server"])).trim();
      await said(host, ["kill", signal, pid]);
      await until(
        async () =>
          (await property(host, "shelter-engine.service", "MainPID")) !== engine &&
          (await isUp("shelter-engine.service")),
        60,
        `the engine after kill ${signal} of its ${whom}`,
      );
      await until(async () => RIGHT.test(await ask(host)), 60, "an answer");
    }
    expect(await property(host, "shelter-gateway.service", "MainPID")).toBe(gateway);
    expect(await property(host, "shelter-gateway.service", "NRestarts")).toBe("0");
  }, 240_000);

  test("a frozen gateway is ended by systemd's watchdog and started anew, the engine stays", async () => {
    const [engine, gateway] = [
      await property(host, "shelter-engine.service", "MainPID"),
      await property(host, "shelter-gateway.service", "MainPID"),
    ];
    await said(host, ["kill", "-STOP", gateway]);
    await until(
      async () =>
        (await property(host, "shelter-gateway.service", "MainPID")) !== gateway &&
        (await isUp("shelter-gateway.service")),
      90,
      "the gateway after SIGSTOP",
    );
    await until(async () => RIGHT.test(await ask(host)), 60, "an answer");
    expect(await property(host, "shelter-engine.service", "MainPID")).toBe(engine);
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

test("a stop that was asked for is one that went well, and lasts", async () => {
  await said(host, ["systemctl", "stop", "shelter-engine.service"]);
  const told = async () =>
    Promise.all(
      ["ActiveState", "Result"].map((one) => property(host, "shelter-engine.service", one)),
    );
  expect(await told()).toEqual(["inactive", "success"]);
  await Bun.sleep(5000); // longer than any restart, and than the watcher's look
  expect(await told()).toEqual(["inactive", "success"]);
  await said(host, ["systemctl", "start", "shelter-engine.service"]);
}, 120_000);

const anew = (engine: string, what: string) =>
  until(
    async () =>
      (await property(host, "shelter-engine.service", "MainPID")) !== engine &&
      (await isUp("shelter-engine.service")),
    60,
    what,
  );

describe("root's acts", () => {
  test("the home's owner may ask for a word of the list, and nobody else for anything", async () => {
    const engine = await property(host, "shelter-engine.service", "MainPID");
    expect((await tell("restart-engine", USER)).stdout).toBe("ok\n");
    expect((await tell("restart-engine", USER)).stdout).toContain("less than 5 s ago");
    await anew(engine, "the engine after restart-engine");
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
    const engine = await property(host, "shelter-engine.service", "MainPID");
    expect(await running()).toBe(`${TOP}/engine/${builds.live}/bin/llama-server`);
    await Bun.sleep(5000); // root restarts none sooner
    expect((await tell("previous-engine", USER)).stdout).toBe("ok\n");
    await anew(engine, "the engine after previous-engine");
    expect(await running()).toBe(`${TOP}/engine/${builds.before}/bin/llama-server`);
    const seen = documentOf(await asRoot(host, "06_shadow_control", "--verify", "--json"));
    expect(JSON.stringify(seen)).toContain("engine-given-up");
  }, 120_000);

  test("the script takes the build up again, and its undo gives it up again", async () => {
    for (const [flags, build] of [
      [["--yes"], builds.live],
      [["--undo"], builds.before],
    ] as const) {
      const engine = await property(host, "shelter-engine.service", "MainPID");
      const ran = documentOf(await asRoot(host, "06_shadow_control", ...flags, "--json"));
      expect(ran["outcome"]).toBe("changed");
      await anew(engine, `the engine after ${flags[0]}`);
      expect(await running()).toBe(`${TOP}/engine/${build}/bin/llama-server`);
    }
  }, 180_000);
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
        (await property(host, "shelter-engine.service", "Result")) === "start-limit-hit" ||
        (await property(host, "shelter-engine.service", "ActiveState")) === "failed",
      90,
      "systemd giving up",
    );
    await Bun.sleep(3000);
    expect(await property(host, "shelter-engine.service", "ActiveState")).toBe("failed");
    expect(Number(await property(host, "shelter-engine.service", "NRestarts"))).toBeLessThanOrEqual(
      5,
    );
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
  const undone = await asRoot(host, "06_shadow_control", "--undo", "--json");
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
