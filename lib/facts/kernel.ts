/** The kernel's word on itself: command line, lockdown, security modules, vulnerabilities of the processor. */
import { filled } from "./text.ts";

/** Parameters whose values say how the machine behaves and never who it is. The values of all others are left out: they can name disks, hosts and keys. */
const SHOWN_VALUES =
  /^(mitigations|nosmt|spectre_v2|spec_store_bypass_disable|l1tf|mds|tsx|tsx_async_abort|srbds|retbleed|gather_data_sampling|reg_file_data_sampling|lockdown|lsm|security|apparmor|selinux|audit|intel_iommu|amd_iommu|iommu|iommu\.\w+|intel_pstate|amd_pstate|intel_idle\.\w+|processor\.\w+|i915\.\w+|xe\.\w+|nouveau\.\w+|nvidia[-_]?\w*\.\w+|rd\.driver\.blacklist|modprobe\.blacklist|pcie_aspm|pcie_aspm\.\w+|pci|nvme_core\.\w+|mem|memmap|isolcpus|nohz_full|rcu_nocbs|maxcpus|nr_cpus|transparent_hugepage|hugepages|hugepagesz|default_hugepagesz|zswap\.\w+|page_alloc\.\w+|init_on_alloc|init_on_free|slab_nomerge|vsyscall|debugfs|efi|acpi|acpi_osi|acpi_backlight|module\.sig_enforce|ia32_emulation|psi|preempt|cgroup_enable|systemd\.\w+)$/;

/** Parameters of a kernel command line, in its order; "name=…" where a value is not shown. What follows "--" is init's own and left out. */
export function parseCmdline(text: string): readonly string[] {
  const found: string[] = [];
  for (const [one] of text.trim().matchAll(/(?:"[^"]*"|[^\s"])+/g)) {
    if (one === "--") break;
    const at = one.indexOf("=");
    const name = at < 0 ? one : one.slice(0, at);
    found.push(at < 0 || SHOWN_VALUES.test(name) ? one : `${name}=…`);
  }
  return found;
}

/** The chosen one of "none [integrity] confidentiality" (/sys/kernel/security/lockdown). */
export function parseLockdown(text: string): string | undefined {
  return /\[([a-z]+)\]/.exec(text)?.[1];
}

/** Security modules in their order, from /sys/kernel/security/lsm. */
export function parseLsms(text: string): readonly string[] {
  return text
    .trim()
    .split(",")
    .filter((name) => name !== "");
}

/** What a file under /sys/devices/system/cpu/vulnerabilities says, in one word (Linux, ABI/testing/sysfs-devices-system-cpu). */
export function vulnerabilityState(text: string): "safe" | "mitigated" | "vulnerable" | "unknown" {
  const said = filled(text)?.replace(/^KVM: /, "") ?? "";
  if (said.startsWith("Not affected")) return "safe";
  if (said.startsWith("Mitigation")) return "mitigated";
  return said.startsWith("Vulnerable") || said.startsWith("Processor vulnerable")
    ? "vulnerable"
    : "unknown";
}
