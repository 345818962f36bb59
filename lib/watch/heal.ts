/** The watcher's hands on the services: one act at a time, each with a record of its own in the journal. */
import { journalled } from "../engine/journalled.ts";
import { asFailure, readable } from "../errors.ts";
import { askRoot } from "../services/verbs.ts";
import type { CallContext, Json, ScriptId } from "../unit.ts";
import { CURING } from "./cures.ts";
import { deedText } from "./decide.ts";
import { cure } from "./fixes.ts";
import type { Deed } from "./ladder.ts";
import type { Acted } from "./look.ts";
import type { Target } from "./state.ts";

/** What the watcher's acts are called in the journal, and the status file of the last one. */
export const WATCH: { readonly script: ScriptId; readonly flag: string } = {
  script: "06_shelter_watch",
  flag: "watch_acted",
};

/** Acts that are under way, and how those went that ended. */
export interface Healing {
  /** Begins an act; it is carried out after those begun before it. One that is not `recorded`, because nothing can be written, has no entry in the journal. */
  begin(deed: Deed, recorded: boolean): void;
  readonly acting: readonly Target[];
  /** What ended since this was asked last. */
  ended(): readonly Acted[];
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

export function createHealing(context: CallContext): Healing {
  const acting: Target[] = [];
  let acted: Acted[] = [];
  let queue: Promise<void> = Promise.resolve();
  const after = async (before: Promise<void>, deed: Deed, recorded: boolean) => {
    await before;
    const failed = await carryOut(context, deed, recorded);
    acting.splice(acting.indexOf(deed.target), 1);
    acted.push({ target: deed.target, ...(failed === undefined ? {} : { failed }) });
  };
  return {
    begin(deed, recorded) {
      acting.push(deed.target);
      queue = after(queue, deed, recorded);
    },
    get acting() {
      return [...acting];
    },
    ended() {
      const now = acted;
      acted = [];
      return now;
    },
    idle: () => queue,
  };
}

/** Carries out one act. Never throws: why it failed is the answer. */
async function carryOut(
  context: CallContext,
  deed: Deed,
  recorded: boolean,
): Promise<string | undefined> {
  const what = deedText(deed);
  context.say.line(`Act ${deed.attempt}${recorded ? "" : ", without a record"}: ${what}`);
  try {
    if (!recorded) {
      await does(context, deed);
      return undefined;
    }
    await journalled(context, { ...WATCH, what }, async () => {
      await does(context, deed);
      return { outcome: "changed", facts: { ...deed } as Json };
    });
    return undefined;
  } catch (error) {
    const { what: failed, why } = asFailure(readable(error));
    context.say.line(`That failed: ${failed}: ${why}`);
    return `${failed}: ${why}`;
  }
}

async function does(context: CallContext, { rung, target, fix }: Deed): Promise<void> {
  const { act } = context;
  if (rung === "governor") return askRoot(act, "governor-performance");
  if (rung === "previous") {
    return askRoot(act, target === "engine" ? "previous-engine" : "previous-release");
  }
  const known = rung === "fix" ? cure(fix ?? "") : undefined;
  if (known) await CURING[known.id](context, target);
  return askRoot(act, `restart-${target}`);
}
