/** What decides whether the engine can be built for a GPU here: card, driver, toolkit, compilers, shader compiler. Reads only. */
import { hostCompilerLimit, newestHostCompiler, parseNvcc } from "../facts/cuda.ts";
import {
  computeCapabilityOf,
  isDisplay,
  parseNvidiaSmi,
  parseNvidiaVersion,
} from "../facts/gpu.ts";
import { versionIn } from "../facts/versions.ts";
import type { Probe } from "../machine/probe.ts";
import type { Card, CudaFacts, GlslcFacts } from "./facts.ts";
import { aptPolicy } from "./policy.ts";

const PCI = "/sys/bus/pci/devices";
const NVIDIA = "10de";

/** Looks at NVIDIA cards and what serves them. Where there is no card and no toolkit, apt is not asked. */
export async function lookAtCuda(probe: Probe): Promise<CudaFacts> {
  const cards = await nvidiaCards(probe);
  const driver =
    probe.text("/sys/module/nvidia/version")?.trim() ??
    parseNvidiaVersion(probe.text("/proc/driver/nvidia/version") ?? "");
  const nvcc = probe.which("nvcc");
  const toolkit =
    nvcc === undefined ? undefined : parseNvcc((await probe.run([nvcc, "--version"])).stdout);
  const offers = cards.length > 0 ? await aptOffers(probe) : {};
  const held =
    cards.length > 0 && probe.which("apt-mark")
      ? (await probe.run(["apt-mark", "showhold"])).stdout.split("\n").filter(Boolean)
      : [];
  return {
    cards,
    ...(driver === undefined ? {} : { driver }),
    nouveau: probe.stat("/sys/module/nouveau") !== undefined,
    ...(toolkit === undefined ? {} : { toolkit }),
    ...(nvcc === undefined || toolkit === undefined ? {} : hostCompilerOf(probe, nvcc, toolkit)),
    compilers: toolkit === undefined && cards.length === 0 ? {} : await compilersOf(probe),
    offers,
    held,
  };
}

/**
 * Gives glslc the very shader that the engine's build tries (ggml-vulkan's feature-tests/coopmat.comp): shaderc 2023.2 says "extension not supported",
 * 2025.2 compiles it (both run).
 */
export async function lookAtGlslc(probe: Probe): Promise<GlslcFacts | undefined> {
  const glslc = probe.which("glslc");
  if (glslc === undefined) return undefined;
  const version = versionIn((await probe.run([glslc, "--version"])).stdout);
  const shader = "#version 460\n#extension GL_KHR_cooperative_matrix : require\nvoid main() {}\n";
  const argv = [glslc, "-fshader-stage=compute", "--target-env=vulkan1.3", "-o", "/dev/null", "-"];
  const ran = await probe.run(argv, { input: shader, timeout: 20_000 });
  const said = (ran.stderr || ran.stdout).trim().split("\n")[0] ?? "";
  return { ...(version === undefined ? {} : { version }), coopmat: ran.code === 0, said };
}

/** From sysfs, which needs no tool and no driver; what nvidia-smi adds, where it answers. */
async function nvidiaCards(probe: Probe): Promise<readonly Card[]> {
  const ids = probe.list(PCI).flatMap((address) => {
    const [kind, vendor, device] = ["class", "vendor", "device"].map((name) =>
      (probe.text(`${PCI}/${address}/${name}`) ?? "").trim().replace(/^0x/, ""),
    );
    return kind && device && vendor === NVIDIA && isDisplay(kind.slice(0, 4))
      ? [`${vendor}:${device}`]
      : [];
  });
  if (ids.length === 0) return [];
  const smi = probe.which("nvidia-smi");
  const told = smi === undefined ? [] : await askSmi(probe, smi);
  return ids.map((id, at) => {
    const one =
      told.find((card) => card.id === id) ?? (told.length === ids.length ? told[at] : undefined);
    const capability = one?.computeCapability ?? computeCapabilityOf(id);
    return {
      id,
      ...(one ? { name: one.name } : {}),
      ...(capability === undefined ? {} : { capability }),
    };
  });
}

/** `compute_cap` is refused by drivers before 510, and with it the whole query. */
async function askSmi(probe: Probe, smi: string) {
  for (const fields of ["name,pci.device_id,compute_cap", "name,pci.device_id"]) {
    const ran = await probe.run([smi, `--query-gpu=${fields}`, "--format=csv"], {
      timeout: 20_000,
    });
    if (ran.code === 0) return parseNvidiaSmi(ran.stdout);
  }
  return [];
}

/** The toolkit's own header is asked first; Debian keeps it in /usr/include. */
function hostCompilerOf(
  probe: Probe,
  nvcc: string,
  toolkit: string,
): Pick<CudaFacts, "hostCompiler"> {
  const beside = (probe.real(nvcc) ?? nvcc).replace(/\/bin\/[^/]*$/, "");
  for (const path of [`${beside}/include/crt/host_config.h`, "/usr/include/crt/host_config.h"]) {
    const newest = hostCompilerLimit(probe.text(path) ?? "");
    if (newest !== undefined) return { hostCompiler: { newest, said: path } };
  }
  const newest = newestHostCompiler(toolkit);
  return newest === undefined
    ? {}
    : { hostCompiler: { newest, said: "NVIDIA's host compiler support policy" } };
}

async function compilersOf(probe: Probe): Promise<Readonly<Record<string, number>>> {
  const names = ["g++", ...Array.from({ length: 12 }, (_, i) => `g++-${i + 7}`)];
  const found: Record<string, number> = {};
  for (const name of names) {
    const where = probe.which(name);
    if (where === undefined) continue;
    const major = Number((await probe.run([where, "-dumpversion"])).stdout.trim().split(".")[0]);
    if (Number.isInteger(major) && major > 0) found[name] = major;
  }
  return found;
}

async function aptOffers(probe: Probe): Promise<CudaFacts["offers"]> {
  const policy = await aptPolicy(probe, ["nvidia-driver", "nvidia-cuda-toolkit"]);
  const driver = policy.get("nvidia-driver")?.candidate;
  const toolkit = policy.get("nvidia-cuda-toolkit")?.candidate;
  return {
    ...(driver === undefined ? {} : { driver }),
    ...(toolkit === undefined ? {} : { toolkit }),
  };
}
