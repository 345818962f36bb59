/** What nobody asked about how the machine is run and guarded. */
import { vulnerabilityState } from "../facts/kernel.ts";
import { isKnown, valueOf } from "./known.ts";
import { microcodePackageFor } from "./observe_cpu.ts";
import type { Look } from "./unasked_hardware.ts";

const microcodeMissing: Look = ({ stable: { cpu } }) => {
  const name = microcodePackageFor(cpu.vendor);
  if (name === undefined || isKnown(cpu.microcodePackage)) return [];
  if (cpu.microcodePackage.unknown !== `${name} is not installed`) return [];
  return [
    {
      id: "microcode-missing",
      level: "warn",
      what: `${name} is not installed`,
      why: "the processor runs the microcode that the firmware brought, and fixes of its holes since then never arrive",
      evidence: `running revision ${valueOf(cpu.microcode) ?? "unknown"}`,
      fix: ["sudo", "apt-get", "install", name],
    },
  ];
};

const openVulnerabilities: Look = ({ stable: { cpu, machine, os } }) => {
  const open = Object.entries(valueOf(cpu.vulnerabilities) ?? {}).filter(
    ([, text]) => vulnerabilityState(text) === "vulnerable",
  );
  if (open.length === 0) return [];
  const off = (valueOf(os.cmdline) ?? []).find((one) => one === "mitigations=off");
  const closes =
    off !== undefined
      ? `the kernel was told ${off} on its command line`
      : valueOf(machine.virtual) === "none"
        ? "newer microcode or the kernel's mitigations close it"
        : "what this machine runs in has to close it";
  return [
    {
      id: "cpu-open",
      level: "warn",
      what: `the processor is open to ${open.map(([name]) => name).join(", ")}`,
      why: `an agent's code on this host could read what it must not: ${closes}`,
      evidence: open.map(([name, text]) => `${name}: ${text}`).join("; "),
      fix: ["grep", "-r", "Vulnerable", "/sys/devices/system/cpu/vulnerabilities"],
    },
  ];
};

const heatRose: Look = ({ moving, stored }) => {
  const now = valueOf(moving.throttled);
  if (!now) return [];
  const last = stored.state === "ok" ? stored.document : undefined;
  const boot = valueOf(moving.boot);
  const sameBoot = boot !== undefined && last !== undefined && valueOf(last.moving.boot) === boot;
  const before = sameBoot ? valueOf(last.moving.throttled) : undefined;
  const times = now.core + now.package - (before ? before.core + before.package : 0);
  const ms = now.milliseconds - (before?.milliseconds ?? 0);
  if (times <= 0) return [];
  return [
    {
      id: "heat-rose",
      level: ms >= 60_000 ? "warn" : "info",
      what: `heat slowed the processor ${times} times since ${before ? `the inventory of ${last?.at}` : "boot"}`,
      why: `${(ms / 1000).toFixed(1)} s of it in all: dust, a soft surface or old thermal paste cost tokens per second`,
      evidence: "/sys/devices/system/cpu/cpu*/thermal_throttle",
      fix: ["grep", "-r", ".", "/sys/devices/system/cpu/cpu0/thermal_throttle"],
    },
  ];
};

const powerSaving: Look = ({ moving: { cpu } }) => {
  const preference = valueOf(cpu.preference);
  const profile = valueOf(cpu.platformProfile);
  const governor = valueOf(cpu.governor);
  const slow = [
    ...(preference === "power" || preference === "balance_power"
      ? [`energy preference "${preference}"`]
      : []),
    ...(profile === "low-power" || profile === "quiet" ? [`platform profile "${profile}"`] : []),
    // with active intel_pstate "powersave" is the normal one, and the preference decides
    ...(governor === "powersave" && valueOf(cpu.pstate) !== "active" && preference === undefined
      ? [`governor "${governor}"`]
      : []),
  ];
  if (slow.length === 0) return [];
  return [
    {
      id: "power-saving",
      level: "info",
      what: `the machine saves power: ${slow.join(", ")}`,
      why: "models run slower than they could outside ask, serve and the benchmark, which raise it for themselves",
      evidence: "/sys/devices/system/cpu/cpufreq, /sys/firmware/acpi/platform_profile",
      fix:
        profile === undefined && preference === undefined
          ? ["sudo", "cpupower", "frequency-set", "-g", "performance"]
          : ["powerprofilesctl", "set", "performance"],
    },
  ];
};

const turboOff: Look = ({ moving: { cpu } }) =>
  valueOf(cpu.turbo) !== false
    ? []
    : [
        {
          id: "turbo-off",
          level: "warn",
          what: "turbo is switched off",
          why: "the processor never goes above its base clock; someone, or a power tool, wrote 1 to no_turbo",
          evidence: "/sys/devices/system/cpu/intel_pstate/no_turbo",
          fix: ["sudo", "sh", "-c", "echo 0 > /sys/devices/system/cpu/intel_pstate/no_turbo"],
        },
      ];

const onBattery: Look = ({ moving: { power } }) =>
  valueOf(power.mains) !== false
    ? []
    : [
        {
          id: "on-battery",
          level: "info",
          what: `the machine runs on battery (${valueOf(power.battery)?.percent ?? "?"} %)`,
          why: "laptops lower their clocks there: measure and tune on mains only",
          evidence: "/sys/class/power_supply",
          fix: ["upower", "--dump"],
        },
      ];

const batteryWorn: Look = ({ moving: { power } }) => {
  const { full, designed } = valueOf(power.battery) ?? {};
  if (full === undefined || designed === undefined || full >= designed * 0.7) return [];
  return [
    {
      id: "battery-worn",
      level: "info",
      what: `the battery holds ${Math.round((full / designed) * 100)} % of what it was built for`,
      why: "a machine that serves all day on mains is kinder to it with a charge limit of 80 %",
      evidence: "/sys/class/power_supply",
      fix: ["upower", "--dump"],
    },
  ];
};

const anybodysKeys: Look = ({ stable: { firmware } }) => {
  const state = valueOf(firmware.secureBoot);
  if (state !== "setup" && state !== "shim-off") return [];
  return [
    {
      id: "secure-boot-hollow",
      level: "warn",
      what:
        state === "setup"
          ? "the firmware is in setup mode: it holds no platform key"
          : "shim was told not to check what it boots",
      why:
        state === "setup"
          ? "whatever boots next may enrol keys of its own, and nothing that boots is checked"
          : "Secure Boot is switched on and guards nothing past shim",
      evidence: "SecureBoot, SetupMode and MokSBStateRT under /sys/firmware/efi/efivars",
      fix: ["mokutil", "--sb-state"],
    },
  ];
};

const wrongName: Look = ({ stable: { machine }, host, config }) => {
  const meant = host === "phantom" || host === "shadow";
  if (machine.profile === "plain" || !meant || machine.profile === host) return [];
  return [
    {
      id: "wrong-host-name",
      level: "warn",
      what: `this host is called ${host}, and its hardware is ${machine.profile}'s`,
      why: "models and builds would be chosen for the other machine",
      evidence: `${valueOf(machine.vendor)} ${valueOf(machine.product)}`,
      fix: ["nano", config],
    },
  ];
};

/** Looks at how it is run. */
export const UNASKED_RUNNING: readonly Look[] = [
  microcodeMissing,
  openVulnerabilities,
  heatRose,
  powerSaving,
  turboOff,
  onBattery,
  batteryWorn,
  anybodysKeys,
  wrongName,
];
