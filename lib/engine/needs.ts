/** What a unit needs before it may act, checked only when there is something to do. */
import { inHome } from "../keep/home.ts";
import { isDone, readStatus } from "../keep/status.ts";
import type { Probe } from "../machine/probe.ts";
import { ROSTER } from "../roster.ts";
import type { AnyUnit, Finding, Step } from "../unit.ts";

/** A "fail" for each need that is not met, with the command that meets it. */
export function checkNeeds(unit: AnyUnit, probe: Probe, plan: readonly Step[]): readonly Finding[] {
  const { needs } = unit;
  const findings: Finding[] = [];
  const wantsRoot = needs.root === true || plan.some((step) => step.do === "package");
  if (wantsRoot && !probe.me.root) {
    findings.push({
      id: "needs-root",
      level: "fail",
      what: `${unit.id} needs root for this plan`,
      why: "what it changes belongs to the system",
      evidence: `user id ${probe.me.uid}`,
      fix: ["sudo", `./bin/${unit.id}`],
    });
  }
  for (const [command, debianPackage] of Object.entries(needs.commands ?? {})) {
    if (probe.which(command) !== undefined) continue;
    findings.push({
      id: `needs-${command}`,
      level: "fail",
      what: `the command ${command} is missing`,
      why: `${unit.id} runs it`,
      evidence: "not found on the PATH",
      fix: [...(probe.me.root ? [] : ["sudo"]), "apt-get", "install", "-y", debianPackage],
    });
  }
  for (const flag of needs.flags ?? []) {
    if (isDone(readStatus(probe, flag))) continue;
    const row = ROSTER.find((one) => one.flag === flag);
    findings.push({
      id: `needs-${flag}`,
      level: "fail",
      what: `${row?.id ?? flag} has to be done first`,
      why: `${unit.id} builds on it`,
      evidence: inHome.status(probe.home, probe.host, flag),
      fix: [`./bin/${row?.id ?? "shelter"}`],
    });
  }
  const space = needs.disk === undefined ? undefined : probe.space(existing(probe, probe.home));
  if (space && needs.disk !== undefined && space.free < needs.disk) {
    findings.push(tooLittle(unit, "disk", needs.disk, space.free, ["df", "-h", probe.home]));
  }
  const memory = needs.memory === undefined ? undefined : availableMemory(probe);
  if (memory !== undefined && needs.memory !== undefined && memory < needs.memory) {
    findings.push(tooLittle(unit, "memory", needs.memory, memory, ["free", "-h"]));
  }
  return findings;
}

function tooLittle(
  unit: AnyUnit,
  what: string,
  want: number,
  have: number,
  fix: string[],
): Finding {
  const mib = (bytes: number) => `${Math.floor(bytes / 1024 / 1024)} MiB`;
  return {
    id: `needs-${what}`,
    level: "fail",
    what: `too little free ${what} for ${unit.id}`,
    why: `it needs ${mib(want)} and there are ${mib(have)}`,
    evidence: `${have} bytes free`,
    fix,
  };
}

function availableMemory(probe: Probe): number | undefined {
  const match = probe.text("/proc/meminfo")?.match(/^MemAvailable:\s+(\d+) kB$/m);
  return match ? Number(match[1]) * 1024 : undefined;
}

/** The nearest folder that is there: a home that is still to be made has the space of its parent. */
function existing(probe: Probe, path: string): string {
  let up = path;
  while (up !== "/" && probe.stat(up) === undefined) up = up.slice(0, up.lastIndexOf("/")) || "/";
  return up;
}
