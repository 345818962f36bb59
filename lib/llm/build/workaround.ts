/** What a compiler, or the engine's source, gets wrong for this processor and we put right without touching the source: headers of ours that come first. */
import { join } from "node:path";
import { inHome } from "../../keep/home.ts";
import { sha256 } from "../../machine/hash.ts";
import type { CallContext } from "../../unit.ts";

/** Names of what can be put right. */
export type Workaround = "amx-tile-config" | "avx512-alignment";

/** A header, and the one target of llama.cpp's build that is compiled with it, and with which options beside. */
interface Text {
  readonly target: string;
  readonly options: readonly string[];
  readonly header: string;
}

const TEXTS: Readonly<Record<Workaround, Text>> = {
  /**
   * GCC before 13.2.1 declares that ldtilecfg reads 8 bytes where it reads 64, drops the stores to the other 56, and the CPU then refuses the
   * configuration: the engine dies at its first token (llama.cpp#20824, #26954). With the whole operand declared it is right, and prompts are
   * read about three times as fast as without the matrix unit (measured: SmolLM2-135M Q4_1, one thread, GCC 12.2). Everything but the CPU back-end is
   * compiled without the matrix unit.
   */
  "amx-tile-config": {
    target: "ggml-cpu",
    options: ["-mamx-tile", "-mamx-int8", "-mamx-bf16"],
    header: `#pragma once
#if defined(__AMX_TILE__)
#include <immintrin.h>
static inline void shelter_tile_loadconfig(const void * config) {
    __asm__ volatile("ldtilecfg\\t%X0" ::"m"(*(const char(*)[64])config));
}
#define _tile_loadconfig shelter_tile_loadconfig
#endif
`,
  },
  /**
   * llama.cpp puts what it computes at multiples of 32 bytes (TENSOR_ALIGNMENT in ggml-impl.h, because weights in a GGUF file start so). A 64-byte vector of
   * AVX-512 then lies across two cache lines each time, wherever the sizes of a model's inputs happen to add up to an odd multiple of 32: with llama-server's
   * own settings they do, and Intel's matrix products took a quarter longer (SmolLM2-135M, seen in the addresses). The function that says how buffers are
   * laid out is defined here, and the source's own gets another name; files that are mapped stay as they are.
   */
  "avx512-alignment": {
    target: "ggml-base",
    options: [],
    header: `#pragma once
#if defined(__cplusplus)
#include "ggml-backend.h"
static inline size_t ggml_backend_cpu_buffer_type_get_alignment(ggml_backend_buffer_type_t) {
    return 64;
}
static size_t shelter_alignment_of_the_source(ggml_backend_buffer_type_t) __attribute__((unused));
#define ggml_backend_cpu_buffer_type_get_alignment(type) shelter_alignment_of_the_source(type)
#endif
`,
  },
};

/** What a build's id hangs on: it changes with the text of a workaround. */
export function textHash(workaround: Workaround): string {
  const { target, options, header } = TEXTS[workaround];
  return sha256([target, ...options, header].join("\n")).slice(0, 12);
}

/** Writes the files of the workarounds and returns cmake's -D arguments for them. Unchanged files stay as they are: what was compiled stays valid. */
export function applyWorkarounds(
  { probe, act }: CallContext,
  wanted: readonly Workaround[],
): readonly string[] {
  if (wanted.length === 0) return [];
  const folder = inHome.work(probe.home, "llama.cpp", "workarounds");
  act.makeFolder(folder);
  const put = (name: string, text: string) => {
    const path = join(folder, name);
    if (probe.text(path) !== text) act.write(path, text, 0o644);
    return path;
  };
  for (const one of wanted) put(`${one}.h`, TEXTS[one].header);
  const cmake = put("workarounds.cmake", cmakeOf(wanted));
  return [`CMAKE_PROJECT_llama.cpp_INCLUDE=${act.real(cmake)}`];
}

/** Acts once all targets are known. A header's option is one word, so that no shell ever splits the path. */
function cmakeOf(wanted: readonly Workaround[]): string {
  const lines = wanted.map((one) => {
    const { target, options } = TEXTS[one];
    const header = `"-include\${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${one}.h"`;
    return `  target_compile_options(${[target, "PRIVATE", ...options, header].join(" ")})`;
  });
  return `function(shelter_workarounds)
${lines.join("\n")}
endfunction()
cmake_language(DEFER CALL shelter_workarounds)
`;
}
