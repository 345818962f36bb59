/** Which llama.cpp is built, and from where it can be had. */
import type { Source } from "../../unit.ts";
import reference from "./reference.json" with { type: "json" };

/**
 * llama.cpp v0.5.0. The bundle is the one inside the npm package node-llama-cpp 3.22.1: a shallow repository with one squashed commit. Commit, tree,
 * size and hash were read from that file. What counts is `tree`: git's own hash of every name, mode and content in the source, which any
 * origin of the same source must have, whatever its commit is called.
 */
export const ENGINE_SOURCE = {
  tag: "v0.5.0",
  commit: "de3ff815ea7d559ee917f063901b8986f038abc6",
  tree: "fd570ef54b10ec5fecb739e7e04c8ce44a6f415a",
  bundle: {
    bytes: 35_273_016,
    sha256: "5f5d1105d5df040738d87b8290e5d17e7362131cdcfdb0831618e0ea528b4a51",
    /** Within an installed package. */
    member: "llama/gitRelease.bundle",
    package: "node-llama-cpp",
    version: "3.22.1",
  },
  upstream: "https://github.com/ggml-org/llama.cpp.git",
} as const;

/** What a known model says after known words. */
export interface Reference {
  /** SHA-256 of the model that it was computed with: a proof needs exactly this one. */
  readonly model: string;
  /** After the first `at` characters of `text`, `token` is by far the most likely one. */
  readonly passages: readonly {
    readonly text: string;
    readonly next: readonly { readonly at: number; readonly token: string }[];
  }[];
}

/** The files that a build trusts, by their hashes: replaced only by tests, which have no 35 MB of source and 98 MB of model to spare. */
export interface Pins {
  readonly bundle: { readonly bytes: number; readonly sha256: string };
  readonly reference: Reference;
}
/** What every real build trusts. */
export const PINS: Pins = { bundle: ENGINE_SOURCE.bundle, reference };

/** Where the bundle can be had, nearest first; `installed` is its path in a node_modules beside the home. */
export function bundleSources(installed: string): readonly Source[] {
  const { package: name, version, member } = ENGINE_SOURCE.bundle;
  return [{ path: installed }, { npm: { package: name, version, member } }];
}

/** Programs that are built and installed: only what the shelter runs. */
export const PROGRAMS = [
  "llama-server",
  "llama-bench",
  "llama-quantize",
  "llama-fit-params",
] as const;
