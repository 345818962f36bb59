/** What is put right without touching the source: the files that cmake is given. */
import { expect, test } from "bun:test";
import { applyWorkarounds } from "../../../lib/llm/build/workaround.ts";
import type { CallContext } from "../../../lib/unit.ts";

function hands() {
  const files = new Map<string, string>();
  const written: string[] = [];
  const context = {
    probe: { home: "/h", text: (path: string) => files.get(path) },
    act: {
      makeFolder: () => undefined,
      real: (path: string) => `/real${path}`,
      write: (path: string, text: string) => {
        files.set(path, text);
        written.push(path);
      },
    },
  } as unknown as CallContext;
  return { context, files, written };
}
const FOLDER = "/h/runtime/work/llama.cpp/workarounds";

test("all of them come through one file: cmake takes no second one", () => {
  const { context, files } = hands();
  const flags = applyWorkarounds(context, ["amx-tile-config", "avx512-alignment"]);
  expect(flags).toEqual([`CMAKE_PROJECT_llama.cpp_INCLUDE=/real${FOLDER}/workarounds.cmake`]);
  const cmake = files.get(`${FOLDER}/workarounds.cmake`) ?? "";
  expect(cmake).toContain("target_compile_options(ggml-cpu PRIVATE -mamx-tile");
  expect(cmake).toContain("target_compile_options(ggml-base PRIVATE ");
  for (const [, name] of cmake.matchAll(/LIST_DIR\}\/([\w-]+\.h)"/g)) {
    expect(files.has(`${FOLDER}/${name}`)).toBe(true);
  }
});

test("what is there already is not written again, so that compiled files stay valid", () => {
  const { context, written } = hands();
  applyWorkarounds(context, ["avx512-alignment"]);
  const first = written.length;
  applyWorkarounds(context, ["avx512-alignment"]);
  expect(written).toHaveLength(first);
  expect(applyWorkarounds(context, [])).toEqual([]);
});
