/** What apt could install, asked without leaving a trace. */
import { parsePolicy } from "../facts/packages.ts";
import type { Probe } from "../machine/probe.ts";

/** Where root's apt-cache would write an index of its own: nowhere (apt.conf(5), Dir::Cache). Others may not write it anyway and read the one there is. */
const NO_CACHE = ["--option", "Dir::Cache::pkgcache=", "--option", "Dir::Cache::srcpkgcache="];

/** `apt-cache policy` of `names`; empty where there is no apt. */
export async function aptPolicy(
  probe: Probe,
  names: readonly string[],
): Promise<ReturnType<typeof parsePolicy>> {
  if (!probe.which("apt-cache")) return parsePolicy("");
  const traceless = probe.me.root ? NO_CACHE : [];
  return parsePolicy((await probe.run(["apt-cache", "policy", ...names, ...traceless])).stdout);
}
