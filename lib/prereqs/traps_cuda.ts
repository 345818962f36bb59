/** What goes wrong between an NVIDIA card, its driver, the toolkit and the host compiler. Pure. */
import { driverServes, oldestDriver, toolkitServes } from "../facts/cuda.ts";
import { driverBranch, nvidiaArchitecture } from "../facts/gpu.ts";
import { upstreamOf } from "../facts/versions.ts";
import type { Finding } from "../unit.ts";
import type { Card, CudaFacts } from "./facts.ts";

/** Packages whose offered version would no longer serve a card of this host. */
export function offersThatDropTheCard({
  cards,
  offers,
}: Pick<CudaFacts, "cards" | "offers">): readonly string[] {
  const capabilities = cards.flatMap(({ capability }) => capability ?? []);
  const drops = (serves: (capability: string) => boolean) =>
    capabilities.some((one) => !serves(one));
  const branch = offers.driver === undefined ? undefined : driverBranch(upstreamOf(offers.driver));
  return [
    ...(branch !== undefined && drops((one) => driverServes(branch, one))
      ? ["nvidia-driver", "nvidia-smi"]
      : []),
    ...(offers.toolkit !== undefined &&
    drops((one) => toolkitServes(upstreamOf(offers.toolkit ?? ""), one))
      ? ["nvidia-cuda-toolkit"]
      : []),
  ];
}

/** All traps that this host is in. Where CUDA was asked for, those that make it impossible block. */
export function cudaTraps(cuda: CudaFacts, asked: boolean): readonly Finding[] {
  const level = asked ? "fail" : "warn";
  return [
    ...cuda.cards.flatMap((card) => cardTraps(cuda, card, level)),
    ...serviceTraps(cuda, asked),
    ...compilerTraps(cuda, level),
  ];
}

function cardTraps(
  { toolkit, driver, offers, held }: CudaFacts,
  card: Card,
  level: "fail" | "warn",
): readonly Finding[] {
  const { capability } = card;
  if (capability === undefined) {
    return [
      {
        id: `capability-unknown:${card.id}`,
        level: "unknown",
        what: `the compute capability of ${nameOf(card)} is not known`,
        why: "which CUDA serves it can't be told before its driver answers",
        evidence: `PCI id ${card.id}`,
        fix: ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv"],
      },
    ];
  }
  const found: Finding[] = [];
  const branch = driver === undefined ? undefined : driverBranch(driver);
  if (toolkit !== undefined && !toolkitServes(toolkit, capability)) {
    found.push({
      id: "cuda-drops-card",
      level,
      what: `CUDA ${toolkit} can't compile for ${nameOf(card)}`,
      why: "CUDA 13 dropped everything below compute capability 7.5; 11.8 to 12.9 still have this card",
      evidence: "nvcc --version",
      fix: ["apt-cache", "policy", "nvidia-cuda-toolkit"],
    });
  }
  if (branch !== undefined && !driverServes(branch, capability)) {
    found.push({
      id: "driver-drops-card",
      level,
      what: `driver ${driver} no longer has ${nameOf(card)}`,
      why: "580 is the last branch with Pascal and older; 535 is in Debian 12",
      evidence: "/sys/module/nvidia/version",
      fix: ["apt-cache", "policy", "nvidia-driver"],
    });
  }
  const dropping = offersThatDropTheCard({ cards: [card], offers });
  if (dropping.includes("nvidia-driver") && !held.includes("nvidia-driver")) {
    found.push({
      id: "offered-driver-drops-card",
      level: branch === undefined ? level : "warn",
      what: `apt would install driver ${offers.driver}, which no longer has ${nameOf(card)}`,
      why:
        branch === undefined
          ? "580 is the last branch that has it"
          : "the next upgrade would take the card away: hold the driver that works",
      evidence: "apt-cache policy nvidia-driver",
      fix:
        branch === undefined
          ? ["apt-cache", "madison", "nvidia-driver"]
          : ["sudo", "apt-mark", "hold", "nvidia-driver"],
    });
  }
  if (dropping.includes("nvidia-cuda-toolkit") && toolkit === undefined) {
    found.push({
      id: "offered-cuda-drops-card",
      level,
      what: `apt would install CUDA ${upstreamOf(offers.toolkit ?? "")}, which can't compile for ${nameOf(card)}`,
      why: "CUDA 13 dropped everything below compute capability 7.5; 11.8 to 12.9 still have this card",
      evidence: "apt-cache policy nvidia-cuda-toolkit",
      fix: ["apt-cache", "madison", "nvidia-cuda-toolkit"],
    });
  }
  return found;
}

function serviceTraps(
  { cards, driver, nouveau, toolkit }: CudaFacts,
  asked: boolean,
): readonly Finding[] {
  const found: Finding[] = [];
  const branch = driver === undefined ? undefined : driverBranch(driver);
  const oldest = toolkit === undefined ? undefined : oldestDriver(toolkit);
  if (branch !== undefined && oldest !== undefined && branch < oldest) {
    found.push({
      id: "driver-too-old",
      level: asked ? "fail" : "warn",
      what: `driver ${driver} can't run what CUDA ${toolkit} builds`,
      why: `that needs driver ${oldest} or newer`,
      evidence: "/sys/module/nvidia/version, nvcc --version",
      fix: ["apt-cache", "policy", "nvidia-driver"],
    });
  }
  if (cards.length > 0 && driver === undefined && nouveau) {
    found.push({
      id: "nouveau",
      level: asked ? "warn" : "info",
      what: "the free driver nouveau has the NVIDIA card",
      why: "CUDA needs NVIDIA's own driver, and a restart after it is installed",
      evidence: "/sys/module/nouveau",
    });
  }
  if (cards.length === 0 && asked) {
    found.push({
      id: "no-card",
      level: "warn",
      what: "this host has no NVIDIA card",
      why: "an engine with CUDA would be built for another one",
      evidence: "/sys/bus/pci/devices",
    });
  }
  return found;
}

function compilerTraps(
  { toolkit, hostCompiler, compilers }: CudaFacts,
  level: "fail" | "warn",
): readonly Finding[] {
  const own = compilers["g++"];
  if (toolkit === undefined || hostCompiler === undefined) return [];
  const { newest, said } = hostCompiler;
  if (own !== undefined && own <= newest) return [];
  const other = Object.entries(compilers)
    .filter(([, major]) => major <= newest)
    .toSorted(([, a], [, b]) => b - a)[0];
  if (other) {
    return [
      {
        id: "host-compiler",
        level: "ok",
        what: `nvcc ${toolkit} takes g++ up to ${newest}, and ${other[0]} is there`,
        why: "the build gives it to nvcc as its host compiler",
        evidence: said,
      },
    ];
  }
  return [
    {
      id: "host-compiler",
      level,
      what: `nvcc ${toolkit} takes g++ up to ${newest}, and this host has ${own === undefined ? "none" : `only g++ ${own}`}`,
      why: "nvcc refuses a newer host compiler, in the middle of the build",
      evidence: said,
      fix: ["sudo", "apt-get", "install", "--yes", "--no-install-recommends", `g++-${newest}`],
    },
  ];
}

function nameOf({ id, name, capability }: Card): string {
  const architecture = capability === undefined ? undefined : nvidiaArchitecture(capability);
  const told = [capability, architecture].filter(Boolean).join(", ");
  return `${name ?? `the NVIDIA card ${id}`}${told === "" ? "" : ` (${told})`}`;
}
