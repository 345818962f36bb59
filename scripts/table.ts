/** From a script's name to its code, loaded when it is called for. A script of the roster that is not here is not part of this build. */
import type { AnyUnit, ScriptId } from "../lib/unit.ts";

/** Scripts that are one unit each; 08_shelter_cli conducts them and stands in `answer.ts`. */
export const UNITS: Readonly<Partial<Record<ScriptId, () => Promise<{ readonly unit: AnyUnit }>>>> =
  {
    "00_check_structure": () => import("./00_check_structure.ts"),
    "01_host_inventory": () => import("./01_host_inventory.ts"),
    "01_validate_prereqs": () => import("./01_validate_prereqs.ts"),
    "02_scaffold_dirs": () => import("./02_scaffold_dirs.ts"),
    "03_build_llama_cpp": () => import("./03_build_llama_cpp.ts"),
    "03_install_models": () => import("./03_install_models.ts"),
    "04_llm_benchmark": () => import("./04_llm_benchmark.ts"),
    "05_rsync_mirror": () => import("./05_rsync_mirror.ts"),
    "06_phantom_watchdog": () => import("./06_phantom_watchdog.ts"),
    "06_shadow_control": () => import("./06_shadow_control.ts"),
  };
