/** The laws on a made-up unit that uses every kind of step the engine knows, so that the engine itself is on trial. */
import { join } from "node:path";
import * as fc from "fast-check";
import type { Step, Unit } from "../../lib/unit.ts";
import { FAKE_HOME, type FakeWorld } from "../support/fake_machine.ts";
import { lawsOf } from "../support/laws.ts";

const at = (name: string) => join(FAKE_HOME, "things", name);

interface Facts {
  readonly folder: number | undefined;
  readonly note: string | undefined;
  readonly mode: number | undefined;
  readonly moved: boolean;
  readonly junk: boolean;
  readonly junkFolder: boolean;
  readonly link: string | undefined;
  readonly knob: string | undefined;
  readonly made: boolean;
  readonly packages: string;
  readonly unit: string;
}

const UNIT = "/etc/systemd/system/shelter-fake.service";

const everyStep: Unit<Facts> = {
  id: "00_check_structure",
  flag: "structure_ok",
  summary: "Uses every step",
  needs: {},
  observe: async (probe) => ({
    folder: probe.stat(at("deep/folder"))?.mode,
    note: probe.text(at("note")),
    mode: probe.stat(at("loose"))?.mode,
    moved: probe.stat(at("old")) === undefined,
    junk: probe.stat(at("junk")) !== undefined,
    junkFolder: probe.stat(at("junk-folder")) !== undefined,
    link: probe.stat(at("current"))?.target,
    knob: probe.text("/sys/knob")?.trim(),
    made: probe.text(at("made")) === "by a call",
    unit: `${probe.text(UNIT) ?? ""} ${(await probe.run(["systemctl", "show", "shelter-fake.service"])).stdout}`,
    packages: (await probe.run(["dpkg-query"])).stdout,
  }),
  diagnose: () => [],
  plan: (facts) => {
    const steps: Step[] = [];
    if (facts.folder !== 0o700) steps.push({ do: "dir", path: at("deep/folder"), mode: 0o700 });
    if (facts.note !== "new")
      steps.push({ do: "write", path: at("note"), content: "new", mode: 0o600 });
    if (facts.mode !== 0o600) steps.push({ do: "attr", path: at("loose"), mode: 0o600 });
    if (!facts.moved) steps.push({ do: "move", from: at("old"), to: at("kept/old") });
    if (facts.junk) steps.push({ do: "remove", path: at("junk") });
    if (facts.junkFolder) steps.push({ do: "remove", path: at("junk-folder") });
    if (facts.link !== "new-generation")
      steps.push({ do: "link", path: at("current"), target: "new-generation" });
    if (facts.knob !== "fast") steps.push({ do: "set", path: "/sys/knob", value: "fast" });
    if (!facts.packages.includes("cowsay")) steps.push({ do: "package", install: ["cowsay"] });
    if (facts.unit !== "new UnitFileState=enabled\nActiveState=active\n") {
      const files = [{ path: UNIT, content: "new" }];
      steps.push({
        do: "service",
        name: "shelter-fake.service",
        files,
        enabled: true,
        active: true,
      });
    }
    // a later round depends on what this one made
    if (!facts.made && facts.note === "new") {
      steps.push({ do: "call", name: "make", args: {}, undo: { restore: [at("made")] } });
    }
    return steps;
  },
  calls: {
    make: ({ act }) => {
      act.write(at("made"), "by a call");
      return Promise.resolve();
    },
  },
};

/** What a fake systemd knows of the unit: the file that it last read, whether it starts at boot, whether it runs. */
const SYSTEMD = "/run/fake-systemd";
interface FakeUnit {
  readonly loaded: string;
  readonly enabled: boolean;
  readonly active: boolean;
}
function systemctl(argv: readonly string[], world: FakeWorld) {
  const now = JSON.parse(world.read(SYSTEMD)) as FakeUnit;
  const set = (change: Partial<FakeUnit>) => {
    world.write(SYSTEMD, JSON.stringify({ ...now, ...change }));
    return {};
  };
  const file = world.exists(UNIT) ? world.read(UNIT) : "";
  switch (argv[1]) {
    case "show":
      return {
        stdout: `UnitFileState=${now.enabled ? "enabled" : "disabled"}\nActiveState=${now.active ? "active" : "inactive"}\n`,
      };
    case "daemon-reload":
      return set({ loaded: file });
    case "enable":
    case "disable":
      return set({ enabled: argv[1] === "enable" });
    case "stop":
      return set({ active: false });
    default:
      return now.loaded === "" ? { code: 5, stderr: "Unit not found" } : set({ active: true });
  }
}

const INSTALLED = "/var/lib/fake-dpkg";

const worlds = fc
  .record({
    folder: fc.constantFrom(undefined, 0o755, 0o777),
    note: fc.option(fc.string(), { nil: undefined }),
    loose: fc.constantFrom(0o600, 0o644, 0o666),
    old: fc.boolean(),
    junk: fc.boolean(),
    link: fc.constantFrom(undefined, "old-generation"),
    knob: fc.constantFrom("slow\n", "slower\n"),
    unit: fc.option(fc.record({ enabled: fc.boolean(), active: fc.boolean() }), { nil: undefined }),
  })
  .map((made) => ({
    machine: {
      me: { root: true },
      files: {
        [at("loose")]: { text: "loose", mode: made.loose },
        "/sys/knob": made.knob,
        [SYSTEMD]: JSON.stringify({
          enabled: false,
          active: false,
          ...made.unit,
          loaded: made.unit ? "old" : "",
        }),
        ...(made.unit ? { [UNIT]: "old" } : {}),
        [INSTALLED]: "bash:amd64 installed\n",
        ...(made.folder === undefined
          ? {}
          : { [at("deep/folder")]: { folder: true, mode: made.folder } as const }),
        ...(made.note === undefined ? {} : { [at("note")]: { text: made.note, mode: 0o640 } }),
        ...(made.old ? { [at("old")]: "old" } : {}),
        ...(made.junk
          ? { [at("junk")]: "junk", [at("junk-folder/inside")]: { text: "more", mode: 0o604 } }
          : {}),
        ...(made.link === undefined ? {} : { [at("current")]: { link: made.link } }),
      },
      programs: {
        systemctl,
        "dpkg-query": (_: readonly string[], world) => ({ stdout: world.read(INSTALLED) }),
        dpkg: () => ({}),
        "apt-get": (argv, world) => {
          const installed = world.read(INSTALLED);
          if (argv.includes("install") && !argv.includes("--download-only"))
            world.write(INSTALLED, `${installed}cowsay:all installed\n`);
          if (argv.includes("purge") && !argv.includes("--simulate"))
            world.write(INSTALLED, installed.replace("cowsay:all installed\n", ""));
          return {};
        },
      },
    } satisfies Parameters<typeof import("../support/fake_machine.ts").fakeMachine>[0],
  }));

lawsOf(everyStep, worlds);
