/** The detail of each run: JSON lines in logs/memory/<host>/<script>/YYYYMMDD-HHMM.log, appended. */
import { join } from "node:path";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import type { Json, ScriptId } from "../unit.ts";
import { inHome } from "./home.ts";

/** The log of one run. */
export interface MemoryLog {
  write(record: { readonly [key: string]: Json }): void;
  /** SHA-256 over the lines written so far. */
  digest(): string;
  /** Why the log could not be written, where that happened. */
  readonly broken: string | undefined;
}

/** Opens the log of a run; the file is made with its first line. A log that can't be written never stops the work, but is said in the report. */
export function openMemoryLog(probe: Probe, act: Act, script: ScriptId, run: string): MemoryLog {
  const folder = inHome.memory(probe.home, probe.host, script);
  const path = join(folder, `${minuteStamp(probe.now())}.log`);
  const hash = new Bun.CryptoHasher("sha256");
  let broken: string | undefined;
  return {
    write: (record) => {
      const line = `${JSON.stringify({ at: new Date(probe.now()).toISOString(), run, ...record })}\n`;
      hash.update(line);
      if (broken !== undefined) return;
      try {
        act.makeFolder(folder);
        act.appendText(path, line);
      } catch (error) {
        broken = error instanceof Error ? error.message : String(error);
      }
    },
    digest: () => hash.copy().digest("hex"),
    get broken() {
      return broken;
    },
  };
}

/** YYYYMMDD-HHMM in UTC. */
export function minuteStamp(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, 10).replaceAll("-", "")}-${iso.slice(11, 16).replace(":", "")}`;
}
