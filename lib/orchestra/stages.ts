/** What `up` runs, in order. */
import type { Stage } from "./conduct.ts";

/** Each needs what those before it made. */
export const STAGES: readonly Stage[] = [
  { script: "00_check_structure" },
  { script: "01_host_inventory" },
  { script: "01_validate_prereqs" },
  { script: "02_scaffold_dirs" },
  { script: "03_build_llama_cpp" },
  { script: "03_install_models" },
  { script: "04_llm_benchmark" },
];
