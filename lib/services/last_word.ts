/** Why a service ended, in its one line for systemd: `systemctl status` shows it, and the watcher knows by it which fix may help. */
import type { Failure } from "../unit.ts";

/** What a service ended of. */
export type LastWord = Pick<Failure, "id" | "why">;

/** The line (sd_notify(3), STATUS). */
export function lastWord({ id, what, why }: Failure): string {
  return `failed (${id}): ${what}: ${why}`;
}

/** The failure that such a line tells of; undefined for any other. */
export function lastWordIn(status: string): LastWord | undefined {
  const [, id, why] = /^failed \(([a-z0-9-]{1,40})\): (.{1,400})$/.exec(status) ?? [];
  return id !== undefined && why !== undefined ? { id, why } : undefined;
}
