/** What is around a home and decides whether it is safe: the folders above it and the file system below it. */
import { dirname } from "node:path";
import type { Probe } from "../machine/probe.ts";

/** Folders above the home that others than its owner and root can write to, and so rename what is in them. Sticky ones (as /tmp) are safe from that. */
export function lookAbove(probe: Probe): readonly string[] {
  const open: string[] = [];
  const real = probe.real(probe.home) ?? probe.home;
  for (let up = dirname(real); ; up = dirname(up)) {
    const entry = probe.stat(up);
    if (entry && (entry.mode & 0o022) !== 0 && (entry.mode & 0o1000) === 0) open.push(up);
    else if (entry && entry.uid !== 0 && entry.uid !== probe.owner.uid) open.push(up);
    if (up === "/") return open;
  }
}

/** True where the home's file system is mounted so that no program in it can run. */
export function mountForbidsPrograms(probe: Probe): boolean {
  const real = probe.real(probe.home) ?? probe.home;
  let best = { length: -1, noExec: false };
  for (const line of (probe.text("/proc/self/mounts") ?? "").split("\n")) {
    const [, raw = "", , options = ""] = line.split(" ");
    const point = raw.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const under = real === point || real.startsWith(point.endsWith("/") ? point : `${point}/`);
    if (under && point.length >= best.length) {
      best = { length: point.length, noExec: options.split(",").includes("noexec") };
    }
  }
  return best.noExec;
}
