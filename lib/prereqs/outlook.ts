/** All features at a glance, and what nobody asked about. Pure. */
import { commandLine, duration } from "../report/text.ts";
import type { Finding } from "../unit.ts";
import { foundOf, installLine, packagesOf, standings } from "./assess.ts";
import type { PrereqFacts } from "./facts.ts";
import type { FeatureId } from "./features.ts";
import { offersThatDropTheCard } from "./traps_cuda.ts";

const SCRIPT = "./bin/01_validate_prereqs";
/** Lists older than this know nothing of a month's security updates. */
const OLD_LISTS = 30 * 24 * 60 * 60 * 1000;

/** One line per feature, and the line that installs what is missing of it: how it stands, what is missing of it, and what is there in which version. Asked ones have a star; wishes are in brackets. */
export function pictureOfPrereqs(facts: PrereqFacts): readonly (readonly string[])[] {
  return standings(facts).flatMap(({ feature, asked, missing, unfit, wished }) => {
    const isReady = missing.length + unfit.length === 0;
    const lacks = [
      ...missing.map(({ what }) => what),
      ...unfit.map((tool) => `${tool.what} (${foundOf(facts, tool).state})`),
      ...wished.map(({ what }) => `[${what}]`),
    ];
    const has = feature.tools
      .filter((tool) => foundOf(facts, tool).state === "there")
      .map((tool) => [tool.what, foundOf(facts, tool).version].filter(Boolean).join(" "));
    const told = [
      ...(lacks.length > 0 ? [`missing: ${lacks.join(", ")}`] : []),
      ...(has.length > 0 ? [lacks.length > 0 ? `there: ${has.join(", ")}` : has.join(", ")] : []),
    ];
    const row = [
      asked ? "*" : " ",
      feature.id,
      isReady ? "ready" : asked ? "open" : "-",
      told.join("; "),
    ];
    const line = lineFor(facts, feature.id, packagesOf(facts, missing));
    return line ? [row, [" ", "", "", commandLine(line)]] : [row];
  });
}

/** The line that installs the packages; of NVIDIA's, which not every source has and which can cost a card, the one that looks at them first. */
function lineFor(
  facts: PrereqFacts,
  feature: FeatureId,
  packages: readonly string[],
): readonly string[] | undefined {
  if (!facts.os.debianLike || !facts.apt.there || packages.length === 0) return undefined;
  return packages.some((name) => name.startsWith("nvidia"))
    ? [SCRIPT, "--feature", feature, "--plan"]
    : installLine(facts, packages);
}

/** What nobody asked about. */
export function unaskedOfPrereqs(facts: PrereqFacts): readonly Finding[] {
  const found: Finding[] = [];
  const { cards, driver, held } = facts.cuda;
  const [card] = cards;
  const dropped = offersThatDropTheCard({ ...facts.cuda, offers: { driver: "590.1" } }).length > 0;
  if (
    card &&
    driver !== undefined &&
    dropped &&
    !held.includes("nvidia-driver") &&
    offersThatDropTheCard(facts.cuda).length === 0
  ) {
    found.push({
      id: "hold-driver",
      level: "warn",
      what: `one upgrade to driver branch 590 would take ${card.name ?? "the NVIDIA card"} away`,
      why: "nothing stops apt from it: hold the driver that works",
      evidence: `driver ${driver}, not held`,
      fix: ["sudo", "apt-mark", "hold", "nvidia-driver"],
    });
  }
  if (card && !facts.asked.includes("cuda")) {
    found.push({
      id: "card-idle",
      level: "info",
      what: `${card.name ?? "an NVIDIA card"} is there and the engine does not ask for it`,
      why: "this says what CUDA would need",
      evidence: `PCI id ${card.id}`,
      fix: [SCRIPT, "--feature", "cuda", "--plan"],
    });
  }
  const { listsAgeMs } = facts.apt;
  if (listsAgeMs !== undefined && listsAgeMs > OLD_LISTS) {
    found.push({
      id: "old-lists",
      level: "info",
      what: `apt's lists of packages are ${duration(listsAgeMs)} old`,
      why: "security updates since then are not known here",
      evidence: "/var/lib/apt/lists",
      fix: ["sudo", "apt-get", "update"],
    });
  }
  return found;
}
