/** Disks: what smartctl and the mount table tell. */
import { filled, gapless, json, members, whole } from "./text.ts";

/** A disk's own report of its health. */
export interface Smart {
  /** Its own verdict: false means that it expects to fail. */
  readonly passed?: boolean;
  /** Sectors it has replaced (ATA attribute 5). */
  readonly reallocated?: number;
  /** Sectors it could not read and has not replaced yet (ATA attribute 197). */
  readonly pending?: number;
  /** Errors of the medium (NVMe). */
  readonly mediaErrors?: number;
  /** Percent of the life that its maker planned for it that is used up (NVMe; may pass 100). */
  readonly wear?: number;
  readonly hours?: number;
  readonly celsius?: number;
  readonly model?: string;
  /** Turns per minute; 0 for one without. */
  readonly rotation?: number;
}

/** What a run of smartctl gave. "denied": it wants root. "asleep": it was left so. "unsupported": no SMART there, as in virtual machines. */
export type SmartReading =
  | { readonly state: "ok"; readonly smart: Smart }
  | { readonly state: "denied" | "asleep" | "unsupported" }
  | { readonly state: "error"; readonly why: string };

/** Reads `smartctl -j -n standby -iHA DEVICE` (smartmontools 7.x). Exit bits and messages: smartctl(8). */
export function parseSmartctl(text: string): SmartReading {
  const report = members(json(text));
  const run = members(report["smartctl"]);
  const messages = Array.isArray(run["messages"])
    ? run["messages"].map((one) => words(members(one)["string"])).join("; ")
    : "";
  const smart = health(report);
  if (Object.keys(smart).some((key) => key !== "model" && key !== "rotation")) {
    return { state: "ok", smart };
  }
  if (/permission denied|operation not permitted/i.test(messages)) return { state: "denied" };
  if (/(standby|sleep) mode/i.test(messages)) return { state: "asleep" };
  const support = members(report["smart_support"]);
  if (
    support["available"] === false ||
    /unable to detect|lacks smart|not supported/i.test(messages)
  ) {
    return { state: "unsupported" };
  }
  return { state: "error", why: messages || "smartctl said nothing that can be read" };
}

function health(report: Readonly<Record<string, unknown>>): Smart {
  const verdict = members(report["smart_status"])["passed"];
  const table = members(report["ata_smart_attributes"])["table"];
  const attribute = (id: number) => {
    if (!Array.isArray(table)) return undefined;
    const found = table.map(members).find((row) => row["id"] === id);
    return count(members(found?.["raw"])["value"]);
  };
  const nvme = members(report["nvme_smart_health_information_log"]);
  return gapless({
    passed: typeof verdict === "boolean" ? verdict : undefined,
    reallocated: attribute(5),
    pending: attribute(197),
    mediaErrors: count(nvme["media_errors"]),
    wear: count(nvme["percentage_used"]),
    hours: count(members(report["power_on_time"])["hours"]),
    celsius: count(members(report["temperature"])["current"]),
    model: filled(words(report["model_name"])),
    rotation: count(report["rotation_rate"]),
  });
}

/** True where the report says that the disk is on its way out: its own verdict, or sectors or cells that are lost already. */
export function isFailing(smart: Smart): boolean {
  return (
    smart.passed === false ||
    (smart.pending ?? 0) > 0 ||
    (smart.reallocated ?? 0) > 0 ||
    (smart.mediaErrors ?? 0) > 0
  );
}

/** The mount that holds a path: its device as "major:minor" and what was mounted there, from /proc/self/mountinfo (proc(5)). */
export function mountOf(
  mountinfo: string,
  path: string,
): { readonly device: string; readonly source: string; readonly type: string } | undefined {
  let best: { point: string; device: string; source: string; type: string } | undefined;
  for (const line of mountinfo.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const [, , device = "", , raw = ""] = left.split(" ");
    const [type = "", source = ""] = right.split(" ");
    if (!/^\d+:\d+$/.test(device)) continue;
    const point = raw.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const under = path === point || path.startsWith(point.endsWith("/") ? point : `${point}/`);
    if (under && point.length >= (best?.point.length ?? 0)) best = { point, device, source, type };
  }
  return best && { device: best.device, source: best.source, type: best.type };
}

function count(value: unknown): number | undefined {
  return typeof value === "number" ? whole(String(value)) : undefined;
}

function words(value: unknown): string {
  return typeof value === "string" ? value : "";
}
