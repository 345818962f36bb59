/** What each feature of the shelter needs of a host, as data. Package names checked against Debian 12, trixie and, where it differs, Kali. */

/** How the presence of a tool shows. */
export type Sign =
  /** Any of these commands is on the PATH. */
  | { readonly command: readonly string[] }
  /** Any of these files, or of these folders with something in it, is there. */
  | { readonly file: readonly string[] }
  /** Python can import this module. */
  | { readonly module: string }
  /** pip answers, by whatever name. */
  | { readonly pip: true };

/** One thing that a feature needs. */
export interface Tool {
  /** Unique among all tools. */
  readonly id: string;
  /** How people call it. */
  readonly what: string;
  readonly why: string;
  readonly sign: Sign;
  /** Packages that bring it, of the same name on Debian and Kali. */
  readonly packages: readonly string[];
  /** Arguments that make the first found command tell its version. */
  readonly version?: readonly string[];
  /** Oldest version that will do, and why. */
  readonly least?: { readonly version: string; readonly why: string };
  /** Good to have; its absence blocks nothing. */
  readonly optional?: boolean;
}

/** One feature. */
export interface Feature {
  readonly id: FeatureId;
  readonly summary: string;
  readonly tools: readonly Tool[];
  /** Bytes that it takes on the home's file system until it is done, roughly. */
  readonly disk: number;
  /** Bytes of RAM below which it is no use or a pain. */
  readonly memory: number;
}

/** All features, those first that everybody needs. */
export const FEATURE_IDS = [
  "core",
  "build",
  "models",
  "inventory",
  "cuda",
  "vulkan",
  "agents",
  "mirror",
  "monitor",
  "harden",
  "backup",
  "rescue",
  "lab",
] as const;
export type FeatureId = (typeof FEATURE_IDS)[number];

/** What `up` needs, and so what is asked for when nothing else is. */
export const DEFAULT_FEATURES: readonly FeatureId[] = ["core", "build", "models"];

const GIB = 1024 ** 3;
const VERSION = ["--version"];

/** A tool that is one command of one package, or of several. */
function tool(
  command: string,
  packages: string | readonly string[],
  why: string,
  more: Partial<Tool> = {},
): Tool {
  return {
    id: command,
    what: command,
    why,
    sign: { command: [command] },
    packages: typeof packages === "string" ? [packages] : packages,
    ...more,
  };
}

const PYTHON = tool("python3", "python3", "runs pip and the agents", { version: VERSION });
const DEBOOTSTRAP = tool("debootstrap", "debootstrap", "makes a bare Debian root");
const RSYNC = tool("rsync", "rsync", "copies what changed, and only that", { version: VERSION });
const SSH = tool("ssh", "openssh-client", "reaches the other host", { version: ["-V"] });
const SMARTCTL = tool("smartctl", "smartmontools", "reads what a disk knows of its own health", {
  version: VERSION,
});
const SENSORS = tool("sensors", "lm-sensors", "names temperatures and fans", { version: ["-v"] });
const BUBBLEWRAP = tool("bwrap", "bubblewrap", "shuts an agent into its work folder", {
  version: VERSION,
});

/** Each feature with its tools, and why it wants them. */
export const FEATURES: readonly Feature[] = [
  {
    id: "core",
    summary: "the scripts themselves",
    disk: GIB / 4,
    memory: GIB / 2,
    tools: [
      tool("setpriv", "util-linux", "ends a program that we started when we are killed", {
        version: VERSION,
      }),
      {
        id: "ca-certificates",
        what: "certificate authorities",
        why: "no download is taken from a server that can't prove who it is",
        sign: { file: ["/etc/ssl/certs/ca-certificates.crt"] },
        packages: ["ca-certificates"],
      },
    ],
  },
  {
    id: "build",
    summary: "llama.cpp, compiled for this very machine",
    disk: 2 * GIB,
    memory: 2 * GIB,
    tools: [
      tool("git", "git", "reads the engine's pinned source and checks its commit", {
        version: VERSION,
      }),
      tool("g++", "g++", "compiles the engine", {
        version: VERSION,
        least: { version: "9", why: "the engine is C++17 with <filesystem>, whole since GCC 9" },
      }),
      tool("cmake", "cmake", "configures the build", {
        version: VERSION,
        least: { version: "3.14", why: "the engine's CMakeLists.txt asks for it" },
      }),
      {
        id: "ninja",
        what: "ninja or make",
        why: "runs the build",
        sign: { command: ["ninja", "make"] },
        packages: ["ninja-build"],
        version: VERSION,
      },
      tool("ccache", "ccache", "a rebuild takes a minute instead of ten", {
        version: VERSION,
        optional: true,
      }),
    ],
  },
  {
    id: "models",
    summary: "fetching models",
    disk: GIB / 2,
    memory: GIB,
    tools: [
      PYTHON,
      {
        id: "pip",
        what: "pip",
        why: "fetches models that are published as Python packages",
        sign: { pip: true },
        packages: ["python3-pip"],
      },
    ],
  },
  {
    id: "inventory",
    summary: "more of the hardware's own words",
    disk: 0,
    memory: 0,
    tools: [
      tool("lspci", "pciutils", "names devices and their links", { version: VERSION }),
      tool("dmidecode", "dmidecode", "reads memory slots and firmware tables, as root", {
        version: VERSION,
      }),
      SMARTCTL,
      SENSORS,
    ],
  },
  {
    id: "cuda",
    summary: "the engine on an NVIDIA card",
    disk: 6 * GIB,
    memory: 2 * GIB,
    tools: [
      // the headers are only recommended by dkms, and without them it builds no kernel module
      tool(
        "nvidia-smi",
        ["linux-headers-amd64", "nvidia-driver", "nvidia-smi"],
        "the driver, and what it says of the card",
      ),
      tool("nvcc", "nvidia-cuda-toolkit", "compiles for the card", {
        version: VERSION,
        least: { version: "11.8", why: "the oldest that this engine was seen to compile with" },
      }),
    ],
  },
  {
    id: "vulkan",
    summary: "the engine on any GPU with Vulkan",
    disk: GIB,
    memory: 2 * GIB,
    tools: [
      tool("glslc", "glslc", "compiles the engine's shaders", { version: VERSION }),
      {
        id: "vulkan-headers",
        what: "Vulkan headers",
        why: "the engine's build includes them",
        sign: { file: ["/usr/include/vulkan/vulkan.h", "/usr/local/include/vulkan/vulkan.h"] },
        packages: ["libvulkan-dev"],
      },
      {
        id: "spirv-headers",
        what: "SPIR-V headers",
        why: "the engine's build asks CMake for them",
        sign: {
          file: [
            "/usr/share/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake",
            "/usr/local/share/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake",
          ],
        },
        packages: ["spirv-headers"],
      },
      {
        id: "vulkan-driver",
        what: "a Vulkan driver",
        why: "without one there is no device",
        sign: {
          file: ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"],
        },
        packages: ["mesa-vulkan-drivers"],
      },
      tool("vulkaninfo", "vulkan-tools", "shows the devices", { optional: true }),
    ],
  },
  {
    id: "agents",
    summary: "agents, each shut into its own folder",
    disk: 4 * GIB,
    memory: 8 * GIB,
    tools: [
      tool("python3", "python3", "runs the agents", {
        id: "python3.10",
        version: VERSION,
        least: { version: "3.10", why: "CrewAI asks for 3.10, OpenHands for 3.12" },
      }),
      {
        id: "venv",
        what: "Python's venv",
        why: "each agent has packages of its own",
        sign: { module: "ensurepip" },
        packages: ["python3-venv"],
      },
      BUBBLEWRAP,
      tool("socat", "socat", "the one way out of an agent's sandbox", { version: ["-V"] }),
    ],
  },
  {
    id: "mirror",
    summary: "two hosts that hold the same",
    disk: 0,
    memory: 0,
    tools: [RSYNC, SSH, tool("sshd", "openssh-server", "lets the other host in")],
  },
  {
    id: "monitor",
    summary: "charts and alarms",
    disk: GIB / 2,
    memory: 0,
    tools: [tool("netdata", "netdata", "collects, draws and raises alarms"), SENSORS, SMARTCTL],
  },
  {
    id: "harden",
    summary: "kernel and firmware settings",
    disk: 0,
    memory: 0,
    tools: [
      tool("mokutil", "mokutil", "tells the state of Secure Boot"),
      tool("fwupdmgr", "fwupd", "judges the firmware", { version: VERSION }),
      tool("auditctl", "auditd", "keeps what the kernel saw", { version: ["-v"] }),
      tool("nft", "nftables", "filters what comes in", { version: VERSION }),
    ],
  },
  {
    id: "backup",
    summary: "encrypted backups that were proven",
    disk: 0,
    memory: 0,
    tools: [
      tool("restic", "restic", "encrypted, atomic snapshots", {
        version: ["version"],
        least: { version: "0.14", why: "`check --read-data` and repository format 2" },
      }),
      tool("age", "age", "encrypts single files", { version: VERSION, optional: true }),
    ],
  },
  {
    id: "rescue",
    summary: "an ISO that boots when nothing else does",
    disk: 6 * GIB,
    memory: 0,
    tools: [
      DEBOOTSTRAP,
      tool("xorriso", "xorriso", "writes the ISO", { version: VERSION }),
      tool("mksquashfs", "squashfs-tools", "packs its root", { version: ["-version"] }),
      tool("mformat", "mtools", "makes the EFI partition's file system"),
      tool("grub-mkimage", ["grub-common", "grub-efi-amd64-bin"], "makes its boot loader", {
        version: VERSION,
      }),
      tool("mkfs.vfat", "dosfstools", "formats a stick"),
      tool("efibootmgr", "efibootmgr", "reads the boot order", { version: VERSION }),
      tool("refind-install", "refind", "the boot menu", { optional: true }),
    ],
  },
  {
    id: "lab",
    summary: "two booted hosts to try everything on",
    disk: 6 * GIB,
    memory: 4 * GIB,
    tools: [
      DEBOOTSTRAP,
      tool("systemd-nspawn", "systemd-container", "boots a Debian in a folder", {
        version: VERSION,
      }),
      tool("ip", "iproute2", "joins them on one bridge", { version: ["-V"] }),
      tool("qemu-system-x86_64", "qemu-system-x86", "boots the ISO", { version: VERSION }),
      {
        id: "ovmf",
        what: "OVMF",
        why: "the firmware that QEMU boots with",
        sign: { file: ["/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_CODE_4M.fd"] },
        packages: ["ovmf"],
      },
    ],
  },
];

/** A feature by its name. */
export function featureOf(id: FeatureId): Feature {
  const found = FEATURES.find((feature) => feature.id === id);
  if (!found) throw new Error(`the table has no feature ${id}`);
  return found;
}
