/** From conditions to what the person is told: an alert stands while its condition holds, is known again when it comes back, and grows graver with it. Pure. */
import type { Remembered, Watched } from "./memory.ts";
import type { Alert } from "./state.ts";

/** Something that holds now and that the person should know. */
export interface Condition {
  readonly id: string;
  readonly level: Alert["level"];
  readonly what: string;
  readonly fix?: readonly string[];
  /** How long it must hold before it counts, in milliseconds. At once when left out. */
  readonly hold?: number;
}

/** What the person is to be told now. */
export interface Notice {
  readonly alert: Alert;
  /** Why again: it is new, it came back, or it is graver than it was. */
  readonly because: "new" | "again" | "graver";
}

/** A condition that is gone for less than this still stands: one look that failed ends no alert. */
export const QUIET = 30_000;
/** What comes back within this time is the same thing repeating. */
export const REMEMBER = 86_400_000;
/** The person is told of one alert at most once in this time, unless it has become graver. */
export const RETELL = 1_800_000;
/** A warning that comes up for the third time is a failure. */
const REPEATS = 3;

const WEIGHT: Readonly<Record<Alert["level"], number>> = { info: 0, warn: 1, fail: 2 };

/** What one look leads to. */
export interface Told {
  readonly alerts: readonly Alert[];
  readonly remembered: Readonly<Record<string, Remembered>>;
  readonly notices: readonly Notice[];
}

/** `standing` are the alerts of the last look, `at` the wall time as ISO 8601. */
export function tell(
  before: Readonly<Record<string, Remembered>>,
  standing: readonly Alert[],
  conditions: readonly Condition[],
  now: Watched,
  at: string,
): Told {
  const remembered: Record<string, Remembered> = {};
  const alerts: Alert[] = [];
  const notices: Notice[] = [];
  for (const one of conditions) {
    if (one.id in remembered) continue;
    const was = before[one.id];
    const from = was && (was.stands || now - was.last < QUIET) ? was.from : now;
    const stands = was?.stands === true || now - from >= (one.hold ?? 0);
    if (!stands) {
      const count = was?.count ?? 0;
      const told = was?.told ? { told: was.told } : {};
      remembered[one.id] = { from, last: now, stands, count, since: was?.since ?? at, ...told };
      continue;
    }
    const fresh = was?.stands !== true;
    const count = (was?.count ?? 0) + (fresh ? 1 : 0);
    const since = fresh ? at : was.since;
    const level = one.level === "warn" && count >= REPEATS ? "fail" : one.level;
    const again = count > 1 ? ` (${count} times within a day)` : "";
    const alert: Alert = {
      id: one.id,
      level,
      since,
      count,
      what: one.what + again,
      ...(one.fix ? { fix: one.fix } : {}),
    };
    alerts.push(alert);
    const because = whyTold(was, level, fresh, now);
    if (because) notices.push({ alert, because });
    const told = because ? { level, at: now } : was?.told;
    remembered[one.id] = { from, last: now, stands, count, since, ...(told ? { told } : {}) };
  }
  for (const [id, was] of Object.entries(before)) {
    if (id in remembered || now - was.last >= REMEMBER) continue;
    const stands = was.stands && now - was.last < QUIET;
    remembered[id] = { ...was, stands };
    const last = standing.find((one) => one.id === id);
    if (stands && last) alerts.push(last);
  }
  return {
    alerts: alerts.sort((a, b) => WEIGHT[b.level] - WEIGHT[a.level] || a.id.localeCompare(b.id)),
    remembered,
    notices,
  };
}

function whyTold(
  was: Remembered | undefined,
  level: Alert["level"],
  fresh: boolean,
  now: Watched,
): Notice["because"] | undefined {
  if (level === "info") return undefined; // a state, not a failure: the banner is enough
  const told = was?.told;
  if (told === undefined) return "new";
  if (WEIGHT[level] > WEIGHT[told.level]) return "graver";
  return fresh && now - told.at >= RETELL ? "again" : undefined;
}
