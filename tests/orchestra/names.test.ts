/** The 22 names of the one program. */
import { expect, test } from "bun:test";
import { addressed, calledAs, NAMES } from "../../lib/orchestra/names.ts";

test("there are 22 names, each once", () => {
  expect(new Set(NAMES).size).toBe(22);
});

test("a hard link is known by its path, a symbolic link by argv0", () => {
  expect(calledAs("./bin/03_install_models", "/h/bin/03_install_models")).toBe("03_install_models");
  expect(calledAs("bun", "/h/bin/03_install_models")).toBe("03_install_models");
  expect(calledAs("/usr/local/bin/04_llm_benchmark", "/h/bin/shelter")).toBe("04_llm_benchmark");
});

test("any other name behaves as shelter", () => {
  expect(calledAs("./mine", "/opt/mine")).toBe("shelter");
  expect(calledAs("./03_install_models.old", "/opt/03_install_models.old")).toBe("shelter");
  expect(calledAs("", "")).toBe("shelter");
});

test("shelter hands a script's command line to the script", () => {
  expect(addressed("shelter", ["03_install_models", "--plan"])).toEqual({
    name: "03_install_models",
    argv: ["--plan"],
  });
  expect(addressed("08_shelter_cli", ["shelter", "08_shelter_cli", "00_check_structure"])).toEqual({
    name: "00_check_structure",
    argv: [],
  });
  expect(addressed("08_shelter_cli", ["status"])).toEqual({ name: "shelter", argv: ["status"] });
  expect(addressed("03_install_models", ["04_llm_benchmark"])).toEqual({
    name: "03_install_models",
    argv: ["04_llm_benchmark"],
  });
});
