/** What a compiler gets wrong and we put right, without touching the source: a header of ours that comes first. */
import { join } from "node:path";
import { inHome } from "../../keep/home.ts";
import { sha256 } from "../../machine/hash.ts";
import type { CallContext } from "../../unit.ts";

/** Names of what can be put right. */
export type Workaround = "amx-tile-config";

/**
 * GCC before 13.2.1 declares that ldtilecfg reads 8 bytes where it reads 64, drops the stores to the other 56, and the CPU then refuses the
 * configuration: the engine dies at its first token (llama.cpp#20824, #26954). With the whole operand declared it is right, and prompts are
 * read about three times as fast as without the matrix unit (measured: SmolLM2-135M Q4_1, one thread, GCC 12.2).
 */
const HEADER = `#pragma once
#if defined(__AMX_TILE__)
#include <immintrin.h>
static inline void shelter_tile_loadconfig(const void * config) {
    __asm__ volatile("ldtilecfg\\t%X0" ::"m"(*(const char(*)[64])config));
}
#define _tile_loadconfig shelter_tile_loadconfig
#endif
`;

/**
 * For llama.cpp's CPU back-end alone, once all targets are known: everything else is compiled without the matrix unit. The header's option is one
 * word, so that no shell ever splits the path.
 */
const CMAKE = `function(shelter_amx_tile_config)
  target_compile_options(ggml-cpu PRIVATE -mamx-tile -mamx-int8 -mamx-bf16
    "-include\${CMAKE_CURRENT_FUNCTION_LIST_DIR}/amx-tile-config.h")
endfunction()
cmake_language(DEFER CALL shelter_amx_tile_config)
`;

/** The two files of each. */
const TEXTS: Readonly<Record<Workaround, { readonly header: string; readonly cmake: string }>> = {
  "amx-tile-config": { header: HEADER, cmake: CMAKE },
};

/** What a build's id hangs on: it changes with the text of a workaround. */
export function textHash(workaround: Workaround): string {
  const { header, cmake } = TEXTS[workaround];
  return sha256(header + cmake).slice(0, 12);
}

/** Writes the files of the workarounds and returns cmake's -D arguments for them. Unchanged files stay as they are: what was compiled stays valid. */
export function applyWorkarounds(
  { probe, act }: CallContext,
  wanted: readonly Workaround[],
): readonly string[] {
  const folder = inHome.work(probe.home, "llama.cpp", "workarounds");
  if (wanted.length > 0) act.makeFolder(folder);
  return wanted.map((one) => {
    const [header, cmake] = [join(folder, `${one}.h`), join(folder, `${one}.cmake`)];
    if (probe.text(header) !== TEXTS[one].header) act.write(header, TEXTS[one].header, 0o644);
    if (probe.text(cmake) !== TEXTS[one].cmake) act.write(cmake, TEXTS[one].cmake, 0o644);
    return `CMAKE_PROJECT_llama.cpp_INCLUDE=${act.real(cmake)}`;
  });
}
