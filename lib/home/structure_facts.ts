/** What 00_check_structure sees of a home. Only what stands out is kept: a home may hold tens of thousands of entries. */
import type { ConfigReading } from "../hosts/config.ts";
import type { JournalDamage } from "../keep/journal_damage.ts";
import type { Space } from "../machine/probe.ts";
import type { HostName, Owner } from "../unit.ts";
import type { User } from "./in_use.ts";
import type { FoundFolder } from "./layout.ts";
import type { ParityFacts } from "../peer/parity_facts.ts";
import type { LostTrust } from "../trust/store.ts";
import type { Fault } from "./modes.ts";

/** An entry whose permissions are not as they should be. */
export interface WrongMode {
  readonly path: string;
  readonly kind: "file" | "dir";
  readonly uid: number;
  readonly mode: number;
  readonly want: number;
  readonly fault: Fault;
  /** Set where the same file has further names, and the same for all of them. */
  readonly same?: string;
}

/** An entry that belongs to somebody else than the home. */
export interface Stranger {
  readonly path: string;
  readonly kind: "file" | "dir" | "link" | "other";
  readonly uid: number;
  /** Names of the same file that are not in the home. */
  readonly namesOutside: number;
  /** Set where the same file has further names, and the same for all of them. */
  readonly same?: string;
  /** Below a folder that only our programs write to. */
  readonly ours: boolean;
}

/** A symbolic link that does not stay in the home, or leads nowhere. */
export interface Wanderer {
  readonly path: string;
  readonly target: string;
  /** Where it ends; undefined where that is not there. */
  readonly real?: string;
  /** Why it may leave, where it may. */
  readonly because?: string;
}

/** A lock that nobody living holds, or whose holder can't be read. */
export interface DeadLock {
  readonly name: string;
  readonly path: string;
  /** What its holder said of itself; undefined where that is damaged. */
  readonly holder?: { readonly pid: number; readonly script: string; readonly since: string };
  readonly ageMs: number;
}

/** A living run. */
export interface LiveLock {
  readonly name: string;
  readonly pid: number;
  readonly script: string;
  readonly ageMs: number;
}

/** Something old that may go, or is still used. */
export interface Leftover {
  readonly path: string;
  readonly kind: "file" | "dir" | "link" | "other";
  readonly ageMs: number;
  readonly bytes: number;
  readonly usedBy?: User;
}

/** A status file that is not what follows from the journal. */
export interface BadStatus {
  readonly flag: string;
  readonly path: string;
  readonly state:
    | {
        readonly is: "damaged";
        readonly line: number;
        readonly column: number;
        readonly why: string;
      }
    | { readonly is: "missing" }
    | { readonly is: "older than the journal" };
  /** True where the journal knows of a run of this script, so that the file can be rebuilt. */
  readonly inJournal: boolean;
}

/** All that is seen. Times in milliseconds, sizes in bytes. */
export interface StructureFacts {
  readonly home: string;
  readonly host: HostName;
  readonly me: { readonly uid: number; readonly root: boolean };
  readonly owner: Owner;
  /** True once 02_scaffold_dirs was here: there is a shared.cfg, or one that was set aside, or its status says so. */
  readonly scaffolded: boolean;
  /** False for a folder with things in it that nothing shows to be a home: nobody asked to have modes put right there. */
  readonly isHome: boolean;
  readonly counted: {
    readonly files: number;
    readonly folders: number;
    readonly links: number;
    readonly bytes: number;
  };
  readonly folders: readonly FoundFolder[];
  readonly wrongModes: readonly WrongMode[];
  readonly strangers: readonly Stranger[];
  readonly wanderers: readonly Wanderer[];
  /** Sockets, pipes and devices. */
  readonly oddities: readonly string[];
  readonly deadLocks: readonly DeadLock[];
  readonly liveLocks: readonly LiveLock[];
  readonly temporaries: readonly Leftover[];
  readonly work: {
    readonly maxAgeDays: number;
    readonly bytes: number;
    readonly old: readonly Leftover[];
  };
  readonly statuses: readonly BadStatus[];
  /** Places where the journal is damaged. */
  readonly journal: readonly JournalDamage[];
  readonly config: ConfigReading;
  /** The command for alerts that shared.cfg names, where it was not allowed on this host. */
  readonly commandToAllow?: readonly string[];
  /** Where a damaged shared.cfg is moved to. */
  readonly configAside: string;
  readonly space?: Space;
  /** Pairings that can't be used; `aside` is where a damaged file is moved to. */
  readonly lostTrusts: readonly (LostTrust & { readonly aside: string })[];
  /** What the paired hosts hold beside this one; left out where there is none. */
  readonly parity?: ParityFacts;
  /** What nobody asked about. */
  readonly aside: {
    /** Folders above the home that others may write to: whoever can rename a folder owns what is in it. */
    readonly openAbove: readonly string[];
    /** Entries with a time of change in the future. */
    readonly fromFuture: number;
    /** Sizes of what was set aside and is never removed by us. */
    readonly quarantine: { readonly entries: number; readonly bytes: number };
    readonly configCopies: readonly string[];
    /** An editor's swap file of shared.cfg: an edit that was never saved. */
    readonly unsavedEdit?: string;
    readonly noExec: boolean;
  };
}
