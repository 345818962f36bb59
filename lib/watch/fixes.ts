/** What a restart does not cure, and what does: a table, so that no log text and no model's answer ever decides what is done to a host. */
import { knownFix } from "../orchestra/fixes.ts";
import type { Target } from "./state.ts";

/** A cure that the watcher may apply by itself. Each is followed by a restart of the service. */
export interface Cure {
  readonly id: "lock-aside" | "repair-home" | "tuned-aside";
  readonly targets: readonly Target[];
  /** Ids of failures that it is known to cure. */
  readonly causes: readonly string[];
  /** What it does, for the journal and the person. */
  readonly what: string;
}

const CURES: readonly Cure[] = [
  {
    id: "lock-aside",
    targets: ["engine", "gateway"],
    causes: ["lock-damaged"],
    what: "its lock, which does not say whose it is, is set aside: systemd says that nobody runs",
  },
  {
    id: "repair-home",
    targets: ["engine", "gateway"],
    causes: [
      "takeover-busy",
      "disk-full",
      "denied",
      "not-a-folder",
      "not-a-file",
      "link-in-the-way",
      "config-damaged",
    ],
    what: "00_check_structure puts the home right: modes, links, dead locks, room on the disk",
  },
  {
    id: "tuned-aside",
    targets: ["engine"],
    causes: ["engine-died", "engine-not-ready", "gpu-not-used", "out-of-memory"],
    what: "the tuned profiles are set aside, so that the engine is served with its default one",
  },
];

/** The cure of a cause that was not tried yet; `useless` are those that have nothing to do on this host. */
export function fixFor(
  target: Target,
  cause: string | undefined,
  tried: readonly string[],
  useless: readonly Cure["id"][],
): Cure | undefined {
  if (cause === undefined) return undefined;
  return CURES.find(
    ({ id, targets, causes }) =>
      targets.includes(target) &&
      causes.includes(cause) &&
      !tried.includes(id) &&
      !useless.includes(id),
  );
}

/** A cure by its id. */
export function cure(id: string): Cure | undefined {
  return CURES.find((one) => one.id === id);
}

/** Which script makes what a service runs on: its log and its fixes are the person's next look. */
const MAKER = { engine: "03_build_llama_cpp", gateway: "08_shelter_cli" } as const;

/** The best-known fix for a person: what shelter's own table says of the cause, else the service's own log. */
export function adviceFor(target: Target, cause: string | undefined): readonly string[] {
  const unit = `shelter-${target}.service`;
  if (cause === undefined) return ["journalctl", "-u", unit, "-n", "50"];
  return knownFix(MAKER[target], cause).command;
}
