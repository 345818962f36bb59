/** What the inventory does: it stores itself when the machine differs from what is stored. */
import type { Json, Step } from "../unit.ts";
import type { Change } from "./change.ts";
import { changesBetween, isSame } from "./changes.ts";
import { writeInventory, type InventoryDocument, type Taken } from "./document.ts";
import type { InventoryFacts } from "./observe.ts";

/** A damaged document is set aside first; the next round then finds none. One that shows the machine as it is stays untouched. */
export function planInventory(facts: InventoryFacts): readonly Step[] {
  const { stored, path } = facts;
  if (stored.state === "denied") return [];
  if (stored.state === "damaged") {
    return [{ do: "move", from: path, to: facts.quarantine, why: stored.why }];
  }
  if (stored.state === "ok" && isSame(stored.document.stable, facts.stable)) return [];
  return [{ do: "write", path, content: writeInventory(documentOf(facts)), mode: 0o600 }];
}

/** The document to store. The one it replaces becomes the generation before. */
export function documentOf(facts: InventoryFacts): InventoryDocument {
  const { host, at, stable, moving, stored } = facts;
  return {
    schema: 1,
    host,
    at,
    stable,
    moving,
    ...(stored.state === "ok" ? { before: takenOf(stored.document) } : {}),
  };
}

function takenOf({ at, stable, moving }: Taken): Taken {
  return { at, stable, moving };
}

/** What changed, and since when. */
export interface Comparison {
  /** When the earlier of the two was taken: UTC, ISO 8601. */
  readonly since: string;
  /** True where the change was found by this run or within the last day. */
  readonly fresh: boolean;
  readonly changes: readonly Change[];
}

const DAY = 24 * 3600 * 1000;

/** What changed since the last inventory; where nothing did, what the last change was. Undefined on the first run. */
export function comparison({ stored, stable, at }: InventoryFacts): Comparison | undefined {
  if (stored.state !== "ok") return undefined;
  const { document } = stored;
  const changes = changesBetween(document.stable, stable);
  if (changes.length > 0) return { since: document.at, fresh: true, changes };
  const { before } = document;
  if (before === undefined) return undefined;
  const age = Date.parse(at) - Date.parse(document.at);
  return {
    since: before.at,
    fresh: Math.abs(age) < DAY,
    changes: changesBetween(before.stable, document.stable),
  };
}

/** The typed document as the status and `--json` show it: the machine now, and what changed. */
export function digestOf(facts: InventoryFacts): Json {
  const { at, root, stable, moving } = facts;
  const compared = comparison(facts);
  return {
    schema: 1,
    at,
    root,
    stable: stable as unknown as Json,
    moving: moving as unknown as Json,
    changes: compared
      ? { since: compared.since, what: compared.changes.map(({ text }) => text) }
      : null,
  };
}
