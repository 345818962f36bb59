/** The eyes of 01_validate_prereqs. Reads only. */
import { parseCpuinfo } from "../facts/cpu.ts";
import { parseMeminfo } from "../facts/memory.ts";
import { isDebianLike, parseOsRelease } from "../facts/os.ts";
import type { Probe } from "../machine/probe.ts";
import type { Args } from "../unit.ts";
import type { FoundTool, PrereqFacts, WantedPackage } from "./facts.ts";
import { DEFAULT_FEATURES, FEATURE_IDS, FEATURES, featureOf, type FeatureId } from "./features.ts";
import { lookAtCuda, lookAtGlslc } from "./look_gpu.ts";
import { lookAtTools } from "./look_tools.ts";
import { aptPolicy } from "./policy.ts";

/** Where apt keeps the lists of what it can install. */
const LISTS = "/var/lib/apt/lists";

/** Looks at everything that any feature needs: what is not asked for is told too, as an outlook. */
export async function observePrereqs(probe: Probe, want: Args): Promise<PrereqFacts> {
  const { asked, misspelt } = askedFeatures(want["feature"]);
  const os = parseOsRelease(probe.text("/etc/os-release") ?? "");
  const [tools, cuda, glslc] = await Promise.all([
    lookAtTools(
      probe,
      FEATURES.flatMap((feature) => feature.tools),
      new Set(asked.flatMap((id) => featureOf(id).tools.map((tool) => tool.id))),
    ),
    lookAtCuda(probe),
    lookAtGlslc(probe),
  ]);
  const cpu = parseCpuinfo(probe.text("/proc/cpuinfo") ?? "");
  const memory = parseMeminfo(probe.text("/proc/meminfo") ?? "");
  const space = probe.space(nearest(probe, probe.home));
  const listsAgeMs = ageOfLists(probe);
  const architecture = process.arch;
  return {
    asked,
    misspelt,
    os: { id: os.id, name: os.name, debianLike: isDebianLike(os) },
    root: probe.me.root,
    sudo: probe.which("sudo") !== undefined,
    tools,
    apt: {
      there: probe.which("apt-get") !== undefined,
      ...(listsAgeMs === undefined ? {} : { listsAgeMs }),
      wanted: await wantedPackages(probe, asked, tools),
    },
    cpu: {
      architecture,
      // ARM has no such flag, and no need of it
      ...(architecture === "x64" && cpu.isa.size > 0 ? { avx2: cpu.isa.has("avx2") } : {}),
      ...(cpu.model === undefined ? {} : { model: cpu.model }),
    },
    ...(memory ? { memory: { total: memory.total, available: memory.available } } : {}),
    ...(space ? { disk: { free: space.free } } : {}),
    cuda,
    ...(glslc ? { glslc } : {}),
    pipManagedOutside: probe
      .list("/usr/lib")
      .some(
        (name) =>
          /^python3\.\d+$/.test(name) &&
          probe.stat(`/usr/lib/${name}/EXTERNALLY-MANAGED`) !== undefined,
      ),
  };
}

/** `--feature a,b`; "all" for every one. */
export function askedFeatures(flag: Args[string]): Pick<PrereqFacts, "asked" | "misspelt"> {
  const words = (typeof flag === "string" ? flag : "").split(/[\s,]+/).filter(Boolean);
  if (words.length === 0) return { asked: DEFAULT_FEATURES, misspelt: [] };
  if (words.includes("all")) return { asked: FEATURE_IDS, misspelt: [] };
  const known = (word: string): word is FeatureId =>
    (FEATURE_IDS as readonly string[]).includes(word);
  // the order of the table, whatever that of the flag
  return {
    asked: FEATURE_IDS.filter((id) => words.includes(id)),
    misspelt: words.filter((word) => !known(word)),
  };
}

/** What apt would bring for each package of an asked and needed tool that is not as it should be. apt takes a second, and is not asked where nothing is. */
async function wantedPackages(
  probe: Probe,
  asked: readonly FeatureId[],
  tools: Readonly<Record<string, FoundTool>>,
): Promise<Readonly<Record<string, WantedPackage>>> {
  const names = new Set(
    asked
      .flatMap((id) => featureOf(id).tools)
      .filter((tool) => !tool.optional && tools[tool.id]?.state !== "there")
      .flatMap((tool) => tool.packages),
  );
  if (names.size === 0) return {};
  const policy = await aptPolicy(probe, [...names]);
  return Object.fromEntries(
    [...names].map((name) => {
      const candidate = policy.get(name)?.candidate;
      return [name, { name, ...(candidate === undefined ? {} : { candidate }) }];
    }),
  );
}

/** Of the newest list of packages; a fresh container has none. */
function ageOfLists(probe: Probe): number | undefined {
  const times = probe
    .list(LISTS)
    .filter((name) => /_Packages(?:\.\w+)?$/.test(name))
    .map((name) => probe.stat(`${LISTS}/${name}`)?.mtime ?? 0);
  return times.length === 0 ? undefined : Math.max(0, probe.now() - Math.max(...times));
}

function nearest(probe: Probe, path: string): string {
  let up = path;
  while (up !== "/" && probe.stat(up) === undefined) up = up.slice(0, up.lastIndexOf("/")) || "/";
  return up;
}
