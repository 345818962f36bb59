/** What 01_validate_prereqs sees of a host. */
import type { FeatureId } from "./features.ts";

/** How a tool was found. "broken": it is there and does not answer. */
export type ToolState = "there" | "missing" | "too-old" | "broken";

/** One tool as it was found. */
export interface FoundTool {
  readonly state: ToolState;
  readonly version?: string;
  /** Path of the command or file. */
  readonly where?: string;
  /** Packages of it that dpkg has as installed, although the tool is missing or broken. */
  readonly installed: readonly string[];
}

/** A package that would have to be installed. */
export interface WantedPackage {
  readonly name: string;
  /** Version that apt would install; left out where no source offers it, or the lists are not there. */
  readonly candidate?: string;
}

/** One NVIDIA card. */
export interface Card {
  /** "10de:1c8c" */
  readonly id: string;
  readonly name?: string;
  /** e.g. "6.1"; left out where neither driver nor table knows. */
  readonly capability?: string;
}

/** What the CUDA traps are judged by. */
export interface CudaFacts {
  readonly cards: readonly Card[];
  /** Version of the loaded kernel module. */
  readonly driver?: string;
  /** True where the free driver nouveau has the card: then CUDA has none. */
  readonly nouveau: boolean;
  readonly toolkit?: string;
  /** Newest g++ that the toolkit takes, and where that is said. */
  readonly hostCompiler?: { readonly newest: number; readonly said: string };
  /** Major versions of the g++ commands, by name. */
  readonly compilers: Readonly<Record<string, number>>;
  /** What apt would bring, if it were asked; only looked up where there is a card. */
  readonly offers: { readonly driver?: string; readonly toolkit?: string };
  /** Packages that apt is told to keep as they are. */
  readonly held: readonly string[];
}

/** What glslc said to a shader that needs cooperative matrices. */
export interface GlslcFacts {
  readonly version?: string;
  /** True where it compiled it. */
  readonly coopmat: boolean;
  /** Its first words where it did not. */
  readonly said: string;
}

/** All that is seen. Sizes in bytes. */
export interface PrereqFacts {
  readonly asked: readonly FeatureId[];
  /** Names in --feature that no feature has. */
  readonly misspelt: readonly string[];
  readonly os: { readonly id: string; readonly name: string; readonly debianLike: boolean };
  readonly root: boolean;
  /** Whether sudo is there, for the line that is printed. */
  readonly sudo: boolean;
  readonly tools: Readonly<Record<string, FoundTool>>;
  readonly apt: {
    readonly there: boolean;
    /** Milliseconds since its lists were fetched; left out where there are none. */
    readonly listsAgeMs?: number;
    /** What is missing of the features, by package. */
    readonly wanted: Readonly<Record<string, WantedPackage>>;
  };
  readonly cpu: { readonly architecture: string; readonly avx2?: boolean; readonly model?: string };
  readonly memory?: { readonly total: number; readonly available: number };
  readonly disk?: { readonly free: number };
  readonly cuda: CudaFacts;
  readonly glslc?: GlslcFacts;
  /** True where pip is told not to touch the system's packages (PEP 668). */
  readonly pipManagedOutside: boolean;
}
