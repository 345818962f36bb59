/** The 21 scripts, in running order: names, status flags and what each is for. Plain data, so that `status` and `--help` are quick. */
import type { ScriptId } from "./unit.ts";

/** One row of the roster. */
export interface RosterRow {
  readonly id: ScriptId;
  readonly flag: string;
  readonly summary: string;
  /** False while the script is not part of this build. */
  readonly built: boolean;
  /** Nothing of it can be done without root. */
  readonly root?: true;
  /** Milliseconds after which its status counts as stale: the unit's own figure, here so that `status` need not load the unit. */
  readonly staleAfter?: number;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** All 21, those that are not part of this build included. */
export const ROSTER: readonly RosterRow[] = [
  {
    id: "00_check_structure",
    flag: "structure_ok",
    summary: "Check and repair the home: folders, owners, modes, links, locks, space",
    built: true,
    staleAfter: DAY,
  },
  {
    id: "01_host_inventory",
    flag: "inventory_taken",
    summary: "Take the hardware, firmware, kernel, OS and security facts of this host",
    built: true,
    staleAfter: 7 * DAY,
  },
  {
    id: "01_validate_prereqs",
    flag: "prereqs_ok",
    summary: "Check, and install, what each feature needs",
    built: true,
    staleAfter: 7 * DAY,
  },
  {
    id: "01_kernel_harden",
    flag: "kernel_hardened",
    summary: "Install and tune a hardened kernel, sysctl and mitigations",
    built: false,
  },
  {
    id: "01_bios_check",
    flag: "bios_checked",
    summary: "Validate firmware settings",
    built: false,
  },
  {
    id: "02_scaffold_dirs",
    flag: "dirs_scaffolded",
    summary: "Make the home's folders and shared.cfg",
    built: true,
  },
  {
    id: "02_bootstrap_venv",
    flag: "venv_ok",
    summary: "Make the Python environments of the agents",
    built: false,
  },
  {
    id: "03_build_llama_cpp",
    flag: "llama_cpp_built",
    summary: "Build llama.cpp for this very machine, prove it, and put it live",
    built: true,
  },
  {
    id: "03_install_models",
    flag: "models_installed",
    summary: "Choose, fetch and verify models that fit this host",
    built: true,
  },
  {
    id: "04_llm_benchmark",
    flag: "llm_benchmarked",
    summary: "Measure the live build and models, watch the baseline, tune",
    built: true,
    staleAfter: 7 * DAY,
  },
  {
    id: "05_deploy_agents",
    flag: "agents_deployed",
    summary: "Deploy and configure agent frameworks",
    built: false,
  },
  {
    id: "05_rsync_mirror",
    flag: "mirror_synced",
    summary: "Mirror the two hosts",
    built: true,
    staleAfter: HOUR,
  },
  {
    id: "06_netdata_setup",
    flag: "netdata_ok",
    summary: "Set up Netdata and its plugins",
    built: false,
  },
  {
    id: "06_phantom_watchdog",
    flag: "phantom_watched",
    summary: "Watch phantom and heal it",
    built: true,
    root: true,
  },
  {
    id: "06_shadow_control",
    flag: "shadow_watched",
    summary: "Watch shadow and heal it",
    built: true,
    root: true,
  },
  {
    id: "07_log_harden",
    flag: "log_hardened",
    summary: "Make the logs tamper-evident",
    built: false,
  },
  {
    id: "07_threat_sim",
    flag: "threats_simulated",
    summary: "Attack the shelter and see that it holds",
    built: false,
  },
  {
    id: "08_shelter_cli",
    flag: "shelter_up",
    summary: "Run, show and take back everything: the unified command",
    built: true,
  },
  {
    id: "08_dashboard_setup",
    flag: "dashboards_ok",
    summary: "Set up the dashboards",
    built: false,
  },
  {
    id: "09_backup_restore",
    flag: "backup_ok",
    summary: "Back up, restore and drill, encrypted",
    built: false,
  },
  {
    id: "09_iso_boot_setup",
    flag: "rescue_ready",
    summary: "Put the rescue ISO in the boot menu",
    built: false,
  },
];
