/** Which NVIDIA driver, toolkit and host compiler go together. Pure tables, each with its source. */
import { compareVersions } from "./versions.ts";

/** Reads `nvcc --version`: "Cuda compilation tools, release 11.8, V11.8.89" -> "11.8.89". */
export function parseNvcc(text: string): string | undefined {
  return (
    /release \d+\.\d+, V(\d+\.\d+\.\d+)/.exec(text)?.[1] ?? /release (\d+\.\d+)/.exec(text)?.[1]
  );
}

/** The newest g++ that the toolkit accepts, by its own header crt/host_config.h: "#if __GNUC__ > 11". Undefined where the text has no such line. */
export function hostCompilerLimit(hostConfig: string): number | undefined {
  const found = /#\s*if\s+(?:defined\s*\(?__GNUC__\)?\s*&&\s*)?\(?__GNUC__\s*>\s*(\d{1,2})/.exec(
    hostConfig,
  );
  return found ? Number(found[1]) : undefined;
}

/**
 * The newest g++ by toolkit, where its header can't be asked. Source: "Host Compiler Support Policy" in NVIDIA's CUDA Installation Guide for Linux,
 * of each release; collected in ax3l's gist 9489132.
 */
const HOST_COMPILERS: readonly (readonly [string, number])[] = [
  ["13.0", 15],
  ["12.8", 14],
  ["12.4", 13],
  ["12.0", 12],
  ["11.5", 11],
  ["11.1", 10],
  ["11.0", 9],
];

/** Major version of the newest g++ that a toolkit accepts as host compiler; undefined for toolkits older than 11.0. */
export function newestHostCompiler(toolkit: string): number | undefined {
  return HOST_COMPILERS.find(([from]) => compareVersions(toolkit, from) >= 0)?.[1];
}

/**
 * True where a toolkit can still compile for a card. CUDA 13.0 dropped everything below 7.5 (release notes of 12.9 and 13.0: "Maxwell, Pascal, and
 * Volta"); CUDA 12.0 dropped everything below 5.0.
 */
export function toolkitServes(toolkit: string, capability: string): boolean {
  if (compareVersions(toolkit, "13") >= 0) return compareVersions(capability, "7.5") >= 0;
  return compareVersions(toolkit, "12") < 0 || compareVersions(capability, "5.0") >= 0;
}

/** True where a driver's branch still has a card. 580 is the last with Maxwell, Pascal and Volta: 595.71 says of a GTX 1050 that it "will ignore this GPU" and names 580 (NixOS/nixos-hardware#1880). */
export function driverServes(branch: number, capability: string): boolean {
  return branch < 590 || compareVersions(capability, "7.5") >= 0;
}

/** The oldest driver branch that runs what a toolkit builds, within its major version (CUDA Compatibility guide: 11.x from 450, 12.x from 525, 13.x from 580). */
export function oldestDriver(toolkit: string): number | undefined {
  const major = Number(/^\d+/.exec(toolkit)?.[0]);
  return ({ 11: 450, 12: 525, 13: 580 } as Readonly<Record<number, number>>)[major];
}
