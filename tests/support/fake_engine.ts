/** Programs that build and serve an engine on a fake machine: each leaves the files that the real one would, tiny. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ENGINE_SOURCE, type Pins, PROGRAMS } from "../../lib/llm/build/pins.ts";
import { sha256 } from "../../lib/machine/hash.ts";
import {
  FAKE_HOME,
  type FakeFile,
  type FakeMachineOptions,
  type FakeProgram,
} from "./fake_machine.ts";
import { catalogueText } from "./models.ts";

const BUNDLE = Buffer.from("llama.cpp, as one bundle");
const MODEL = Buffer.from("a model that knows two sentences");
const PASSAGE = "one two three four";

/** Pins that tiny files can keep. */
export const TINY_PINS: Pins = {
  bundle: { bytes: BUNDLE.length, sha256: sha256(BUNDLE) },
  reference: {
    model: sha256(MODEL),
    passages: [
      {
        text: PASSAGE,
        next: [
          { at: 3, token: " two" },
          { at: 7, token: " three" },
          { at: 13, token: " four" },
        ],
      },
    ],
  },
};

/** How a fake host differs from one where all goes well. */
export interface FakeEngineHost {
  /** Where the source can be had. */
  readonly source?: "node_modules" | "upstream" | "nowhere";
  readonly generator?: "ninja" | "make";
  readonly ccache?: boolean;
  /** The first line of g++ --version. */
  readonly compiler?: string;
  readonly model?: "there" | "to be fetched";
  /** An integrated GPU, with all that Vulkan takes. */
  readonly gpu?: boolean;
  /** A CPU with Intel's matrix unit, and a compiler that miscompiles it. */
  readonly amx?: boolean;
  readonly files?: Readonly<Record<string, FakeFile>>;
  /** Asked anew each time, so that a test can change it on the way. */
  readonly behaviour?: Behaviour;
}

/** What the host's programs do; a test may change it while it runs. */
export interface Behaviour {
  /** Ends the compiling with this error. */
  compileError?: string;
  /** Devices on which the engine's next tokens are wrong. */
  wrongOn?: "cpu" | "gpu";
  /** The engine ends before it answers. */
  crashes?: boolean;
  /** The tree that git finds; the pinned one when left out. */
  tree?: string;
}

/** A machine on which 03_build_llama_cpp can do everything, in milliseconds. */
export function fakeEngineHost(host: FakeEngineHost = {}): FakeMachineOptions {
  const { source = "node_modules", generator = "ninja", ccache = true, model = "there" } = host;
  const behaviour = host.behaviour ?? {};
  const compiler = host.compiler ?? "g++ (Debian 12.2.0-14) 12.2.0";
  const server = fakeServer(behaviour);
  const programs: Record<string, FakeProgram> = {
    "g++": (argv) => {
      if (argv.includes("--version")) return { stdout: `${compiler}\nCopyright` };
      if (argv.includes("-S")) return { stdout: "check:\n\tldtilecfg\t-64(%rsp)\n" };
      const on = ["-mavx2", ...(host.amx ? ["-mamx-tile", "-mamx-int8"] : [])];
      const lines = on.map((one) => `  ${one}  \t\t[enabled]\n`);
      return { stdout: `  -march=  \t\tskylake\n${lines.join("")}  -mavx512f \t[disabled]\n` };
    },
    gcc: () => ({}),
    git: fakeGit(source, behaviour),
    cmake: fakeCmake,
    [generator]: fakeMake(behaviour),
    nice: (argv, world, options, killed) => {
      const inner = argv.slice(3);
      const name = inner[0]?.split("/").at(-1) ?? "";
      return programs[name]?.(inner, world, options, killed) ?? { code: 127 };
    },
    "llama-server": server.program,
    ...(ccache ? { ccache: () => ({}) } : {}),
    ...(host.gpu ? { glslc: () => ({ stdout: "shaderc v2025.3 v2025.3\n" }) } : {}),
    "dpkg-query": () => (host.gpu ? { stdout: "25.0.7-2" } : { code: 1 }),
  };
  return {
    programs,
    fetch: server.fetch,
    files: {
      "/proc/cpuinfo": `processor\t: 0\nmodel name\t: Test CPU\nflags\t\t: avx avx2${host.amx ? " amx_tile amx_int8" : ""}\n`,
      "/proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB\n",
      "/etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
      [`${FAKE_HOME}/models/local.yaml`]: catalogueText([
        { name: "tiny", bytes: MODEL, sources: [{ path: "/data/tiny.gguf" }] },
      ]),
      ...(model === "there"
        ? { [`${FAKE_HOME}/models/sha256/${sha256(MODEL)}`]: { bytes: MODEL, mode: 0o600 } }
        : { "/data/tiny.gguf": { bytes: MODEL } }),
      ...(source === "node_modules"
        ? {
            [`${FAKE_HOME}/node_modules/node-llama-cpp/llama/gitRelease.bundle`]: { bytes: BUNDLE },
          }
        : {}),
      ...(host.gpu ? GPU : {}),
      ...host.files,
    },
  };
}

/** Iris Xe, as sysfs shows it. */
const GPU: Readonly<Record<string, FakeFile>> = {
  "/sys/bus/pci/devices/0000:00:02.0/class": "0x030000\n",
  "/sys/bus/pci/devices/0000:00:02.0/vendor": "0x8086\n",
  "/sys/bus/pci/devices/0000:00:02.0/device": "0x46a6\n",
  "/usr/include/vulkan/vulkan.h": "",
  "/usr/share/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake": "",
  "/usr/share/vulkan/icd.d/intel_icd.json": "{}",
};

/** git: an init makes a folder, a fetch needs its source, a checkout leaves a file. */
function fakeGit(source: FakeEngineHost["source"], behaviour: Behaviour): FakeProgram {
  return (argv) => {
    const words = argv.filter((_, index) => argv[index - 1] !== "-c" && argv[index] !== "-c");
    const verb = words.slice(1).find((word) => !word.startsWith("--"));
    const last = argv.at(-1) ?? "";
    const workTree = argv.find((word) => word.startsWith("--work-tree="))?.slice(12);
    switch (verb) {
      case "init":
        mkdirSync(last, { recursive: true });
        return {};
      case "fetch": {
        const from = argv.at(-2) ?? "";
        if (from.startsWith("https:")) {
          return source === "upstream" ? {} : { code: 128, stderr: "fatal: no route to host" };
        }
        return existsSync(from) ? {} : { code: 128, stderr: "fatal: no such bundle" };
      }
      case "rev-parse":
        return { stdout: `${behaviour.tree ?? ENGINE_SOURCE.tree}\n` };
      case "bundle":
        writeFileSync(argv.at(-2) ?? "", "another bundle of the same tree");
        return {};
      case "checkout-index":
        writeFileSync(join(workTree ?? "", "CMakeLists.txt"), "project(llama.cpp)");
        return {};
      case "diff-files":
        return {
          stdout: existsSync(join(workTree ?? "", "CMakeLists.txt")) ? "" : "CMakeLists.txt",
        };
      case "ls-files":
        return {
          stdout: readdirSync(workTree ?? "")
            .filter((name) => name !== "CMakeLists.txt")
            .join("\n"),
        };
      default:
        return {};
    }
  };
}

const fakeCmake: FakeProgram = (argv) => {
  const after = (flag: string) => argv[argv.indexOf(flag) + 1] ?? "";
  const [source, tree] = [after("-S"), after("-B")];
  if (!existsSync(join(source, "CMakeLists.txt"))) return { code: 1, stderr: "CMake Error" };
  mkdirSync(tree, { recursive: true });
  const settings = argv.filter((word) => word.startsWith("-D")).join("\n");
  writeFileSync(
    join(tree, "CMakeCache.txt"),
    `CMAKE_HOME_DIRECTORY:INTERNAL=${source}\nCMAKE_CACHEFILE_DIR:INTERNAL=${tree}\nCMAKE_GENERATOR:INTERNAL=${after("-G")}\n${settings}\n`,
  );
  return {};
};

function fakeMake(behaviour: Behaviour): FakeProgram {
  return (argv) => {
    const tree = argv[argv.indexOf("-C") + 1] ?? "";
    const settings = readFileSync(join(tree, "CMakeCache.txt"), "utf8");
    writeFileSync(join(tree, "half.o"), "compiled");
    if (behaviour.compileError !== undefined) return { code: 1, stdout: behaviour.compileError };
    for (const name of PROGRAMS) {
      const path = join(tree, "bin", name);
      mkdirSync(dirname(path), { recursive: true });
      rmSync(path, { force: true });
      writeFileSync(path, `${name} of ${sha256(settings)}`, { mode: 0o755 });
    }
    return { stdout: "[1/2] CXX a.o\n[2/2] LINK b\n" };
  };
}

/** llama-server, and the answers that it gives over HTTP. It serves until it is ended. */
function fakeServer(behaviour: Behaviour) {
  let onGpu = false;
  let running = false;
  const program: FakeProgram = async (argv, _world, _options, killed) => {
    if (behaviour.crashes) return { code: 139, stderr: "Segmentation fault" };
    const after = (flag: string) => argv[argv.indexOf(flag) + 1] ?? "";
    onGpu = after("--gpu-layers") !== "0";
    if (onGpu) {
      writeFileSync(after("--log-file"), "load_tensors: Vulkan0 model buffer size = 90.00 MiB\n");
    }
    running = true;
    await killed;
    running = false;
    return {};
  };
  const fetch = async (url: string, init?: RequestInit): Promise<Response> => {
    if (!running) throw new Error("connection refused");
    const { pathname } = new URL(url);
    if (pathname === "/health") return new Response("{}");
    if (pathname === "/v1/chat/completions") {
      const events = [
        { choices: [{ delta: { content: "Paris." }, finish_reason: "stop" }] },
        { choices: [], timings: { prompt_n: 1, predicted_n: 1 } },
      ].map((one) => `data: ${JSON.stringify(one)}\n\n`);
      return new Response(`${events.join("")}data: [DONE]\n\n`);
    }
    const { prompt } = (await new Response(init?.body).json()) as { readonly prompt: string };
    const next = TINY_PINS.reference.passages[0]?.next.find((one) => one.at === prompt.length);
    const wrong = behaviour.wrongOn === (onGpu ? "gpu" : "cpu");
    return Response.json({ content: wrong ? " nonsense" : (next?.token ?? "") });
  };
  return { program, fetch };
}
