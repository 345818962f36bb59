/** What a build is decided by: typed facts of the host, its tools and what the home holds already. */
import type { Proof, BuildInfo } from "../builds.ts";
import type { Source } from "../../unit.ts";
import type { Asked } from "./backends.ts";

/** The C++ compiler that builds. */
export interface Compiler {
  /** Of g++ and gcc. */
  readonly path: string;
  readonly c: string;
  /** First line of --version, e.g. "g++ (Debian 12.2.0-14+deb12u1) 12.2.0". */
  readonly text: string;
  readonly version: string;
  readonly major: number;
  /** What -march=native means here: the architecture, and every switch that it turns on. */
  readonly architecture: string;
  readonly native: readonly string[];
  /** Whether its AMX intrinsics can be trusted; "none" where it does not know them. */
  readonly amx: "none" | "sound" | "miscompiled";
}

/** Programs that build. Undefined: not there. */
export interface Toolchain {
  readonly compiler?: Compiler | undefined;
  readonly cmake?: string | undefined;
  readonly git?: string | undefined;
  readonly generator?:
    | { readonly name: "Ninja" | "Unix Makefiles"; readonly path: string }
    | undefined;
  readonly ccache?: string | undefined;
  /** Versioned g++ beside the default one, e.g. g++-11. */
  readonly hostCompilers: readonly { readonly path: string; readonly major: number }[];
}

/** A display controller on the PCI bus. */
export interface GraphicsFacts {
  readonly address: string;
  /** "10de:1c8c" */
  readonly id: string;
  readonly vendor: "intel" | "amd" | "nvidia" | "other";
  /** NVIDIA's, e.g. "6.1", as its driver says or as the id tells. */
  readonly computeCapability?: string | undefined;
}

/** What compiling for an NVIDIA card depends on. */
export interface CudaFacts {
  readonly nvcc?: { readonly path: string; readonly version: string } | undefined;
  /** NVIDIA's driver, e.g. "535.183.01". */
  readonly driver?: string | undefined;
}

/** What compiling for Vulkan and running on it depends on. */
export interface VulkanFacts {
  readonly glslc?:
    | { readonly path: string; readonly version: string; readonly coopmat: boolean }
    | undefined;
  readonly headers: boolean;
  readonly spirv: boolean;
  /** Installable client drivers by file name. */
  readonly drivers: readonly string[];
  /** True where every driver is Mesa's software one. */
  readonly softwareOnly: boolean;
  /** Version of Mesa's drivers: a build is proven anew when it changes. */
  readonly mesa?: string | undefined;
}

/** One build in the home. `damage` names what of it is not what its build-info says. */
export interface GenerationFacts {
  readonly id: string;
  readonly info: BuildInfo;
  readonly proof?: Proof | undefined;
  readonly damage?: string | undefined;
}

/** All that 03_build_llama_cpp knows. */
export interface BuildFacts {
  readonly home: string;
  readonly root: boolean;
  readonly generations: readonly GenerationFacts[];
  /** Where the link `current` points, whatever that is. */
  readonly live?: string | undefined;
  readonly cpu: {
    readonly model: string;
    readonly isa: readonly string[];
    readonly logical: number;
    /** Processors that we may use. */
    readonly allowed: number;
  };
  readonly memory?: number | undefined;
  readonly disk?: number | undefined;
  readonly os: { readonly id: string; readonly version?: string | undefined };
  readonly toolchain: Toolchain;
  readonly graphics: readonly GraphicsFacts[];
  readonly cuda: CudaFacts;
  readonly vulkan: VulkanFacts;
  readonly rejected: { readonly [part: string]: string };
  /** What the operator asked for: now, else for the live build. */
  readonly asked: Asked;
  readonly source: {
    /** The home's own copy. */
    readonly copy: string;
    readonly state: "whole" | "damaged" | "absent";
    /** Of the bundle. */
    readonly sha256: string;
    readonly bytes: number;
    /** Sources of the bundle, nearest first. */
    readonly from: readonly Source[];
    /** The nearest of them is on this machine. */
    readonly near: boolean;
  };
  /** The small model that a build is proven with. */
  readonly model: {
    readonly name: string;
    readonly path: string;
    readonly sha256: string;
    readonly bytes: number;
    readonly from: readonly Source[];
    readonly there: boolean;
  };
  /** A free name in the quarantine, for a damaged build. */
  readonly quarantine: string;
  /** Ids of builds that were begun and not finished. */
  readonly begun: readonly string[];
  /** Builds that stay, the live one included. */
  readonly retention: number;
}
