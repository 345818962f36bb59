/** What to build: this machine's target, each host's of shared.cfg, and the rescue image's. */
import type { BuildTarget, Config } from "../hosts/config.ts";

/** The best target that a machine can run, from its architecture and the text of /proc/cpuinfo. "baseline" runs on x86-64 without AVX2. */
export function targetFor(arch: string, cpuinfo: string): BuildTarget {
  if (arch === "arm64") return "bun-linux-arm64";
  return /^flags\s*:.*\bavx2\b/m.test(cpuinfo) ? "bun-linux-x64" : "bun-linux-x64-baseline";
}

/** The folders below bin/ that `--all` fills, and with what. */
export function foldersFor(
  config: Pick<Config, "hosts" | "targets">,
): readonly { readonly folder: string; readonly target: BuildTarget }[] {
  return [
    ...config.hosts.map(({ name, target }) => ({ folder: `hosts/${name}`, target })),
    ...config.targets.map(({ name, target }) => ({ folder: name, target })),
  ];
}
