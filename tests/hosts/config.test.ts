/** Reading shared.cfg, whatever stands in it, and this host's name. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { parse } from "yaml";
import type { Reading } from "../../lib/machine/probe.ts";
import {
  configError,
  DEFAULT_CONFIG,
  lookAtConfig,
  readConfig,
  hostName,
  type ConfigReading,
} from "../../lib/hosts/config.ts";
import { DEFAULT_CONFIG_TEXT } from "../../lib/hosts/config_default.ts";
import { parseConfig } from "../../lib/hosts/config_parse.ts";
import { HOST_NAME, hostNameFrom, safeHostName } from "../../lib/hosts/name.ts";
import { readCatalogue } from "../../lib/llm/catalogue.ts";
import { ShelterError } from "../../lib/errors.ts";

const WHOLE = `# the two of us
hosts:
  phantom:
    address: 192.168.1.10
    user: rc
    target: bun-linux-x64
    roles: [engine, agents]
    home: /home/rc/.mountain_shelter
  shadow:
    address: shadow.lan
    hostname: debian
targets:
  usb: bun-linux-x64-musl
models:
  - smollm2-135m-instruct-q4_1
retention: {builds: 3, releases: 2, snapshots: 20, mirrors: 4}
work:
  max_age_days: 30
baselines:
  shadow:
    Phi-3-mini-4k-instruct-q4: {prompt: 40, generation: 8.5}
ports: {gateway: 9000, peers: 9002}
alerts: {command: [/usr/local/bin/tell, "--to me"]}
`;

/** A machine that has nothing but a shared.cfg and a host name. */
function machine(reading: Reading, system = "phantom\n") {
  return {
    home: "/home",
    read: (path: string): Reading => (path === "/home/shared.cfg" ? reading : { state: "absent" }),
    text: (path: string) => (path === "/proc/sys/kernel/hostname" ? system : undefined),
  };
}
const SOMEBODY = { uid: 1000, gid: 1000, user: "op", home: "/home/op", root: false };
const withText = (text: string, system?: string) => machine({ state: "ok", text }, system);

async function problems(text: string): Promise<readonly string[]> {
  const reading = await parseConfig(text);
  return reading.state === "invalid"
    ? reading.problems.map((one) => `${one.line}:${one.key}`)
    : [reading.state];
}

describe("a shared.cfg that can be used", () => {
  test("every value arrives, and rescue is added to the targets", async () => {
    expect(await readConfig(withText(WHOLE))).toEqual({
      hosts: [
        {
          name: "phantom",
          address: "192.168.1.10",
          user: "rc",
          target: "bun-linux-x64",
          roles: ["engine", "agents"],
          home: "/home/rc/.mountain_shelter",
        },
        {
          name: "shadow",
          address: "shadow.lan",
          hostname: "debian",
          target: "bun-linux-x64",
          roles: [],
        },
      ],
      targets: [
        { name: "rescue", target: "bun-linux-x64-baseline" },
        { name: "usb", target: "bun-linux-x64-musl" },
      ],
      models: ["smollm2-135m-instruct-q4_1"],
      retention: { builds: 3, releases: 2, snapshots: 20, mirrors: 4 },
      work: { maxAgeDays: 30 },
      baselines: [
        { host: "shadow", model: "Phi-3-mini-4k-instruct-q4", prompt: 40, generation: 8.5 },
      ],
      ports: { gateway: 9000, engine: DEFAULT_CONFIG.ports.engine, peers: 9002 },
      alerts: { command: ["/usr/local/bin/tell", "--to me"] },
    });
  });

  test("missing, empty and commented-out files mean the defaults", async () => {
    for (const probe of [
      machine({ state: "absent" }),
      withText(""),
      withText("# nothing\n\n"),
      withText("hosts:\n"),
    ]) {
      expect(await readConfig(probe)).toEqual(DEFAULT_CONFIG);
    }
  });

  test("the default text is comments alone, and what it shows is valid once uncommented", async () => {
    expect(await parseConfig(DEFAULT_CONFIG_TEXT)).toEqual({
      state: "ok",
      config: DEFAULT_CONFIG,
      unknown: [],
    });
    const shown = DEFAULT_CONFIG_TEXT.replace(/^#(?! )/gm, "").replace(/^#( +\w[\w.-]*:)/gm, "$1");
    const reading = await parseConfig(shown);
    if (reading.state !== "ok") throw new Error(JSON.stringify(reading));
    expect(reading.unknown).toEqual([]);
    expect(reading.config.hosts.map((host) => host.name)).toEqual(["phantom", "shadow"]);
    expect(reading.config.retention).toEqual(DEFAULT_CONFIG.retention);
    expect(reading.config.work).toEqual(DEFAULT_CONFIG.work);
    expect(reading.config.baselines).toHaveLength(1);
    expect(parse(shown)).toHaveProperty("models");
    // what it shows is also there: a name that no catalogue has would block `up`
    const catalogue = await readCatalogue({ ...machine({ state: "absent" }), me: SOMEBODY });
    const known = catalogue.map((one) => one.name);
    const named = [...reading.config.models, ...reading.config.baselines.map((one) => one.model)];
    expect(named.length).toBeGreaterThan(1);
    for (const name of named) expect(known).toContain(name);
    const hosts = reading.config.hosts.map((host) => host.name);
    for (const { host } of reading.config.baselines) expect(hosts).toContain(host);
    expect(reading.config.ports).toEqual(DEFAULT_CONFIG.ports);
    expect(reading.config.targets).toEqual(DEFAULT_CONFIG.targets);
  });

  test("keys that no script knows are said with their line, and the rest holds", async () => {
    const reading = await parseConfig(
      "work:\n  max_age_days: 3\ncolour: gold\nhosts:\n  phantom:\n    adress: x\n",
    );
    expect(reading.state === "ok" && reading.config.work.maxAgeDays).toBe(3);
    expect(
      reading.state === "ok" && reading.unknown.map((note) => `${note.line}:${note.key}`),
    ).toEqual(["3:colour", "6:hosts.phantom.adress"]);
  });
});

describe("a shared.cfg that can't be used", () => {
  test("damaged YAML is named with line, column and reason", async () => {
    const damaged: [string, number][] = [
      ["hosts:\n  phantom: [engine\nmodels: []\n", 3],
      ["hosts:\n\tphantom: {}\n", 2],
      ["work: {max_age_days: 1}\nwork: {max_age_days: 2}\n", 2],
      ["models: 'half\n", 2],
      ["- a\n- list\n", 1],
      ["just words\n", 1],
      ["work:\n  max_age_days: 3\n\0\0\0\0", 3],
      ["---\na: 1\n---\nb: 2\n", 3],
      ["a: *nowhere\n", 1],
    ];
    for (const [text, line] of damaged) {
      const reading = await parseConfig(text);
      expect([text, reading.state]).toEqual([text, "damaged"]);
      if (reading.state !== "damaged") continue;
      expect([text, reading.note.line]).toEqual([text, line]);
      expect(reading.note.why.length).toBeGreaterThan(5);
      expect(reading.note.why).not.toContain("\n");
    }
  });

  test("bytes that no editor writes are said as such, and a comment in another encoding is none", async () => {
    const zeros = await parseConfig("work:\n  max_age_days: 3\n\0\0");
    expect(zeros).toMatchObject({
      state: "damaged",
      note: { line: 3, column: 1, why: expect.stringContaining("not text") },
    });
    expect((await parseConfig("models: [] # caf\ufffd\n")).state).toBe("ok");
  });

  test("an alias bomb is refused, not unrolled", async () => {
    const rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
    for (let i = 1; i < 12; i += 1)
      rows.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(", ")}]`,
      );
    expect((await parseConfig(rows.join("\n"))).state).toBe("damaged");
  });

  test("a wrong value is named with its key and line, all of them at once", async () => {
    expect(
      await problems(`hosts:
  Phantom: {target: bun-linux-x64}
  shadow:
    address: "-oProxyCommand=x"
    user: "rc; id"
    home: relative/path
    target: linux
    roles: engine
  rescue: {}
targets:
  shadow: bun-linux-arm64
models: [ok, "../../etc"]
retention: {builds: 1, snapshots: many}
work: {max_age_days: 0}
baselines: {shadow: {m: {prompt: -1}}}
ports: {gateway: 80, peers: 70000}
alerts: {command: [tell, "a\\nb"]}
`),
    ).toEqual([
      "2:hosts.Phantom",
      "4:hosts.shadow.address",
      "5:hosts.shadow.user",
      "6:hosts.shadow.home",
      "7:hosts.shadow.target",
      "8:hosts.shadow.roles",
      "9:hosts.rescue",
      "11:targets.shadow",
      "12:models.1",
      "13:retention.builds",
      "13:retention.snapshots",
      "14:work.max_age_days",
      "15:baselines.shadow.m.prompt",
      "16:ports.gateway",
      "16:ports.peers",
      "17:alerts.command.1",
      "17:alerts.command.0",
    ]);
    expect(await problems("ports: {gateway: 9000, engine: 9000}\n")).toEqual(["1:ports"]);
  });

  test("readConfig throws a clear error for each state", async () => {
    const cases: [Reading, string][] = [
      [{ state: "ok", text: "a: [\n" }, "config-damaged"],
      [{ state: "ok", text: "work: {max_age_days: -1}" }, "config-invalid"],
      [{ state: "denied" }, "config-denied"],
      [{ state: "error", why: "input/output error" }, "config-unreadable"],
    ];
    for (const [reading, id] of cases) {
      const error = await readConfig(machine(reading)).catch((one: unknown) => one);
      expect(error).toBeInstanceOf(ShelterError);
      expect((error as ShelterError).id).toBe(id);
    }
    const note = { key: "work", line: 4, column: 2, why: "no" };
    expect(configError("/x", { state: "invalid", problems: [note] }).why).toBe(
      "line 4, column 2: work: no",
    );
  });

  test("names of JavaScript's own are data like any other", async () => {
    expect(await problems("__proto__: {hosts: 1}\nconstructor: 2\n")).toEqual(["ok"]);
    expect(({} as { hosts?: unknown }).hosts).toBeUndefined();
  });

  test("no text at all makes the reader throw, and what is accepted is within bounds", async () => {
    const piece = fc.constantFrom(
      "hosts",
      "work",
      ":",
      " ",
      "\n",
      "  ",
      "[",
      "]",
      "{",
      "}",
      "- ",
      "phantom",
      "max_age_days",
      "3",
      "-1",
      "&a",
      "*a",
      '"',
      "'",
      "#",
      "|",
      "\0",
      "é",
      "\u001b[2J",
      "!!binary",
      "---",
      "? ",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 40 }).map((all) => all.join("")),
        ),
        async (text) => {
          const reading: ConfigReading = await parseConfig(text);
          if (reading.state !== "ok") return;
          expect(reading.config.work.maxAgeDays).toBeGreaterThan(0);
          expect(reading.config.retention.builds).toBeGreaterThan(1);
          for (const host of reading.config.hosts) expect(host.name).toMatch(HOST_NAME);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("this host's name", () => {
  test("is the entry's whose name or hostname is the system's, else the system's made safe", async () => {
    expect(await hostName(withText(WHOLE, "phantom\n"))).toBe("phantom");
    expect(await hostName(withText(WHOLE, "Phantom.home.lan\n"))).toBe("phantom");
    expect(await hostName(withText(WHOLE, "debian\n"))).toBe("shadow");
    expect(await hostName(withText(WHOLE, "My Laptop\n"))).toBe("my-laptop");
    expect(await hostName(withText("hosts: [", "debian\n"))).toBe("debian");
    expect(await hostName(machine({ state: "denied" }, "debian\n"))).toBe("debian");
  });

  test("is always safe as a file name", () => {
    expect(safeHostName("..")).toBe("localhost");
    expect(safeHostName("rescue")).toBe("rescue-host");
    expect(safeHostName("-rf")).toBe("rf");
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (system) => {
        expect(hostNameFrom(system)).toMatch(HOST_NAME);
      }),
      { numRuns: 1000 },
    );
  });

  test("a state of any kind reads without an error", async () => {
    expect((await lookAtConfig(machine({ state: "denied" }))).state).toBe("denied");
  });
});
