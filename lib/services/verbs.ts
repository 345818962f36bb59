/** What the watcher may ask root for: a fixed list, and nothing to fill in. Root's part stands in `root_acts.ts`. */
import { ShelterError } from "../errors.ts";
import type { Act } from "../machine/act.ts";

/**
 * The acts. "previous-engine" puts the engine's last good build in the place of the live one and restarts it; "previous-release" does the same with the
 * program, so with the gateway and the watcher.
 */
export const VERBS = [
  "restart-engine",
  "stop-engine",
  "restart-gateway",
  "previous-engine",
  "previous-release",
  "governor-performance",
  "governor-back",
] as const;
export type Verb = (typeof VERBS)[number];

/** Root listens here; only the home's owner may connect (shelter-act.socket). */
export const ACT_SOCKET = "/run/shelter-act.sock";

/** Restarting is only begun, so no act takes long. Milliseconds. */
const PATIENCE = 30_000;

/**
 * Has root carry out one act. A restart is begun, not waited for: look at the service for how it went.
 * @throws ShelterError "root-absent" where the services are not installed, "root-refused" with root's reason.
 */
export async function askRoot(act: Pick<Act, "askSocket">, verb: Verb): Promise<void> {
  let answer: string;
  try {
    answer = await act.askSocket(ACT_SOCKET, verb, PATIENCE);
  } catch (error) {
    const why = error instanceof ShelterError ? error.why : String(error);
    throw new ShelterError("root-absent", `asking root to ${verb}`, why, [
      "systemctl",
      "status",
      "shelter-act.socket",
    ]);
  }
  if (answer === "ok") return;
  throw new ShelterError("root-refused", `asking root to ${verb}`, answer || "it said nothing", [
    "journalctl",
    "-u",
    "shelter-act@*",
    "-n",
    "20",
  ]);
}

/** A verb from outside; undefined for anything else. */
export function verbOf(text: string): Verb | undefined {
  return VERBS.find((one) => one === text.trim());
}
