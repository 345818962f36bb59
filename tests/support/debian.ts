/** A fake Debian: dpkg and apt over a small world of packages, whose installing and removing has its effect. */
import { chmodSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { FEATURES, type Tool } from "../../lib/prereqs/features.ts";
import type { FakeFile, FakeMachineOptions, FakeProgram, FakeWorld } from "./fake_machine.ts";

/** What a fake Debian is made from. */
export interface DebianOptions {
  /** Tools that are there from the start, by id. */
  readonly there: readonly string[];
  /** Versions that apt offers, by package; every package of the feature table at 99 when left out. */
  readonly offers?: Readonly<Record<string, string>>;
  /** Packages that no source offers. */
  readonly notOffered?: readonly string[];
  /** What commands print for their version, by name; "99.0" for the rest. */
  readonly versions?: Readonly<Record<string, string>>;
  /** False where apt-get update never ran. */
  readonly lists?: boolean;
  readonly os?: string;
  readonly files?: Readonly<Record<string, FakeFile>>;
  readonly programs?: Readonly<Record<string, FakeProgram>>;
  readonly me?: FakeMachineOptions["me"];
  readonly now?: () => number;
}

/** Where the fake dpkg keeps its list, as JSON. */
export const DPKG = "/var/lib/dpkg/fake.json";
const TOOLS: readonly Tool[] = FEATURES.flatMap((feature) => feature.tools);
const DEBIAN_12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n';

/** The first command of a tool, where it shows by one. */
const commandOf = (tool: Tool) =>
  "command" in tool.sign ? tool.sign.command[0] : "pip" in tool.sign ? "pip3" : undefined;
const fileOf = (tool: Tool) => ("file" in tool.sign ? tool.sign.file[0] : undefined);

/** Options of a fake machine that is this Debian. */
export function debian(options: DebianOptions): FakeMachineOptions {
  const commands = [...new Set(TOOLS.flatMap((tool) => commandOf(tool) ?? []))];
  const there = TOOLS.filter((tool) => options.there.includes(tool.id));
  const has = new Set(there.flatMap((tool) => commandOf(tool) ?? []));
  const programs: Record<string, FakeProgram> = { ...aptPrograms(options) };
  for (const command of commands) {
    programs[command] ??= (argv, world) =>
      answer(command, argv, world, options.versions?.[command]);
  }
  const files: Record<string, FakeFile> = {
    "/etc/os-release": options.os ?? DEBIAN_12,
    "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Fake CPU\nflags\t\t: fpu sse4_2 avx avx2\n",
    "/proc/meminfo":
      "MemTotal:       32000000 kB\nMemFree: 30000000 kB\nMemAvailable:   30000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    // no Debian is without it, and a list without any package is never believed
    [DPKG]: JSON.stringify(
      [...new Set(["dpkg", ...there.flatMap((tool) => tool.packages)])].sort(),
    ),
    ...(options.lists === false
      ? {}
      : { "/var/lib/apt/lists/mirror_dists_x_main_binary-amd64_Packages": "x" }),
  };
  // the folders stay, whatever is installed
  for (const file of TOOLS.flatMap((tool) => fileOf(tool) ?? [])) {
    files[dirname(file)] = { folder: true };
  }
  // a command that is not there is a file that can't be run
  for (const command of commands)
    if (!has.has(command)) files[`/usr/bin/${command}`] = { text: "", mode: 0o644 };
  for (const tool of there) {
    const file = fileOf(tool);
    if (file !== undefined) files[file] = "there";
  }
  return {
    files: { ...files, ...options.files },
    programs: { ...programs, ...options.programs },
    ...(options.me ? { me: options.me } : {}),
    ...(options.now ? { now: options.now } : {}),
  };
}

/** Packages that the fake dpkg has. */
export function installedOn(world: Pick<FakeWorld, "read">): readonly string[] {
  return JSON.parse(world.read(DPKG)) as readonly string[];
}

function answer(command: string, argv: readonly string[], world: FakeWorld, version = "99.0") {
  if (command === "python3" && argv[1] === "-m") {
    return runs(world, "pip3")
      ? { stdout: `pip ${version} from /usr/lib/python3 (python 3.11)\n` }
      : { code: 1, stderr: "No module named pip" };
  }
  if (command === "python3" && argv[1] === "-c")
    return { code: installedOn(world).includes("python3-venv") ? 0 : 1 };
  return { stdout: `${command} ${version}\n` };
}

function runs(world: FakeWorld, command: string): boolean {
  const path = world.path(`/usr/bin/${command}`);
  return existsSync(path) && (statSync(path).mode & 0o111) !== 0;
}

function aptPrograms({ offers, notOffered = [] }: DebianOptions): Record<string, FakeProgram> {
  const offered = (name: string) =>
    notOffered.includes(name) || !TOOLS.some((tool) => tool.packages.includes(name))
      ? undefined
      : (offers?.[name] ?? "99.0-1");
  const change = (world: FakeWorld, to: (now: readonly string[]) => readonly string[]) => {
    const before = installedOn(world);
    const after = [...new Set(to(before))].sort();
    writeFileSync(world.path(DPKG), JSON.stringify(after));
    for (const tool of TOOLS) {
      const was = tool.packages.every((name) => before.includes(name));
      const is = tool.packages.every((name) => after.includes(name));
      if (was !== is) show(world, tool, is);
    }
  };
  return {
    "dpkg-query": (argv, world) => {
      const installed = installedOn(world);
      const names = argv.includes("--") ? argv.slice(argv.indexOf("--") + 1) : installed;
      const short = (argv[3] ?? "").startsWith("${Package}:");
      const rows = names
        .filter((name) => installed.includes(name))
        .map((name) => (short ? `${name}:all installed` : `${name}\t99.0-1\tinstalled`));
      return {
        code: rows.length === names.length ? 0 : 1,
        stdout: rows.map((row) => `${row}\n`).join(""),
      };
    },
    dpkg: () => ({}),
    "apt-cache": (argv, world) => ({
      stdout: argv
        .slice(2)
        .filter((name) => TOOLS.some((tool) => tool.packages.includes(name)))
        .map(
          (name) =>
            `${name}:\n  Installed: ${installedOn(world).includes(name) ? "99.0-1" : "(none)"}\n  Candidate: ${offered(name) ?? "(none)"}\n  Version table:\n`,
        )
        .join(""),
    }),
    "apt-mark": () => ({}),
    "apt-get": (argv, world) => {
      const names = argv.includes("--") ? argv.slice(argv.indexOf("--") + 1) : [];
      const unknown = names.find((name) => offered(name) === undefined);
      if (argv.includes("--simulate")) return {};
      if (argv.includes("purge"))
        change(world, (now) => now.filter((name) => !names.map(bare).includes(name)));
      else if (argv.includes("install")) {
        if (unknown !== undefined)
          return { code: 100, stderr: `E: Unable to locate package ${unknown}` };
        if (!argv.includes("--download-only")) change(world, (now) => [...now, ...names]);
      }
      return {};
    },
  };
}

const bare = (name: string) => name.replace(/:.*$/, "");

/** Makes a tool appear as its package's files would, or go away with them. */
function show(world: FakeWorld, tool: Tool, is: boolean): void {
  const command = commandOf(tool);
  if (command !== undefined) chmodSync(world.path(`/usr/bin/${command}`), is ? 0o755 : 0o644);
  const file = fileOf(tool);
  if (file === undefined) return;
  if (is) {
    mkdirSync(dirname(world.path(file)), { recursive: true });
    writeFileSync(world.path(file), "there");
  } else rmSync(world.path(file), { force: true });
}
