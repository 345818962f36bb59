/** What is said of a machine that is another than at the last inventory. */
import { expect, test } from "bun:test";
import { unit } from "../../scripts/01_host_inventory.ts";
import { changesBetween } from "../../lib/inventory/changes.ts";
import type { Stable } from "../../lib/inventory/document.ts";
import { comparison } from "../../lib/inventory/plan.ts";
import { recorded, shadowCpuinfo } from "../facts/fixtures.ts";
import { after, factsOf } from "./facts_of.ts";
import { phantom } from "./phantom.ts";
import { nvidiaSmi, shadow } from "./shadow.ts";

const texts = (before: Stable, now: Stable) => changesBetween(before, now).map(({ text }) => text);
const whole = await factsOf(shadow());

test("nothing changed: nothing is said, and nothing is to do", async () => {
  const again = after(
    whole,
    await factsOf(shadow({ files: { "/sys/class/hwmon/hwmon0/temp1_input": "91000\n" } })),
  );
  expect(comparison(again)).toBeUndefined();
  expect(unit.plan(again, {})).toEqual([]);
});

test("8 GB of RAM are gone, and from which slot", async () => {
  const half = recorded("acer-vx5-591g.dmidecode").replace(
    /Size: 8 GB((?:\n\t.*)*?)\n\tLocator: ChannelB-DIMM0/,
    "Size: No Module Installed$1\n\tLocator: ChannelB-DIMM0",
  );
  const files = {
    "/proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\nSwapTotal: 8388608 kB\n",
  };
  const now = await factsOf(shadow({ files, programs: { dmidecode: () => ({ stdout: half }) } }));
  const seen = after(whole, now);
  expect(texts(whole.stable, seen.stable)).toEqual([
    "8 GB of RAM are gone: 16 GB -> 8 GB",
    "the slot ChannelB-DIMM0 is empty now",
  ]);
  expect(unit.diagnose(seen, {}).find(({ id }) => id === "changed-1")).toMatchObject({
    level: "warn",
    what: "8 GB of RAM are gone: 16 GB -> 8 GB",
  });
  expect(texts(seen.stable, whole.stable)).toEqual(["8 GB of RAM are new: 8 GB -> 16 GB"]);
});

test("as a user, without the slots, the missing 8 GB are seen all the same", async () => {
  const was = await factsOf(shadow({ root: false }));
  const now = await factsOf(
    shadow({
      root: false,
      files: {
        "/proc/meminfo": "MemTotal: 7900000 kB\nMemAvailable: 1 kB\nSwapTotal: 8388608 kB\n",
      },
    }),
  );
  expect(texts(was.stable, after(was, now).stable)).toEqual([
    "7.5 GB of RAM are gone: 15.5 GB -> 8 GB",
  ]);
});

test("driver 535 -> 580, and back to none", async () => {
  const newer = await factsOf(shadow({ programs: { "nvidia-smi": nvidiaSmi("580.95.05") } }));
  expect(texts(whole.stable, newer.stable)).toEqual([
    "driver of NVIDIA GeForce GTX 1050 Ti 535 -> 580",
  ]);
  const patch = await factsOf(shadow({ programs: { "nvidia-smi": nvidiaSmi("535.216.01") } }));
  expect(texts(whole.stable, patch.stable)).toEqual([
    "driver of NVIDIA GeForce GTX 1050 Ti 535.183.01 -> 535.216.01",
  ]);
  const broken = await factsOf(
    shadow({ programs: { "nvidia-smi": () => ({ code: 9, stdout: "NVIDIA-SMI has failed\n" }) } }),
  );
  expect(texts(whole.stable, broken.stable).join("\n")).toMatch(
    /^the driver of .* is gone: NVIDIA's driver is not loaded/,
  );
});

test("a new kernel's few megabytes more or less are no change of memory", async () => {
  const other = await factsOf(
    shadow({
      files: {
        "/proc/meminfo": "MemTotal: 16240000 kB\nMemAvailable: 9 kB\nSwapTotal: 8388608 kB\n",
        "/proc/sys/kernel/osrelease": "6.1.0-29-amd64\n",
      },
    }),
  );
  const seen = after(whole, other);
  expect(texts(whole.stable, seen.stable)).toEqual(["kernel 6.1.0-28-amd64 -> 6.1.0-29-amd64"]);
  expect(seen.stable.memory.total).toBe(whole.stable.memory.total);
});

test("disks: one swapped for another of its model, sectors that went bad, a verdict that turned", async () => {
  const swapped = await factsOf(
    shadow({
      files: {
        "/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/device/wwid":
          "naa.other\n",
      },
    }),
  );
  expect(texts(whole.stable, swapped.stable)).toEqual([
    "the disk sda (ST1000LM048-2E71) is gone",
    "the disk sda (ST1000LM048-2E71) is new",
  ]);
  const failing = await factsOf(
    shadow({ programs: { smartctl: () => ({ stdout: recorded("smart-ata-failing.json") }) } }),
  );
  expect(texts(whole.stable, failing.stable)).toEqual([
    "the disk sda (ST1000LM048-2E71) expects to fail: its own verdict (SMART) went from passed to failed",
    "replaced sectors of the disk sda (ST1000LM048-2E71): 0 -> 1975",
    "unreadable sectors of the disk sda (ST1000LM048-2E71): 0 -> 8",
  ]);
  expect(changesBetween(whole.stable, failing.stable).every(({ loss }) => loss)).toBe(true);
});

test("Secure Boot, TPM, kernel parameters, lockdown, vulnerabilities and instructions", async () => {
  const global = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
  const files = {
    [`/sys/firmware/efi/efivars/SecureBoot-${global}`]: { bytes: Uint8Array.of(6, 0, 0, 0, 0) },
    "/sys/class/tpm/tpm0/tpm_version_major": { folder: true },
    "/proc/cmdline": "BOOT_IMAGE=/vmlinuz root=UUID=0 ro mitigations=off\n",
    "/sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
    "/sys/devices/system/cpu/vulnerabilities/meltdown": "Vulnerable\n",
  } as const;
  const world = shadow({ files });
  delete (world.files as Record<string, unknown>)["/sys/class/tpm/tpm0/tpm_version_major"];
  (world.files as Record<string, string>)["/proc/cpuinfo"] = shadowCpuinfo().replaceAll(
    " avx2 ",
    " ",
  );
  expect(texts(whole.stable, (await factsOf(world)).stable)).toEqual([
    "the processor no longer offers avx2",
    "the processor is now open to meltdown: Vulnerable",
    "kernel lockdown none -> integrity",
    "Secure Boot on -> off",
    "the TPM is gone",
    "no longer on the kernel's command line: quiet",
    "new on the kernel's command line: mitigations=off",
  ]);
});

test("what no sentence is made for is still said to differ", () => {
  const other: Stable = { ...whole.stable, homeDisk: "sdb" };
  expect(texts(whole.stable, other)).toEqual(["details differ: homeDisk"]);
});

test("a user's view after root's keeps what root saw, unless something contradicts it", async () => {
  const root = await factsOf(phantom({ root: true }));
  const user = await factsOf(phantom());
  const seen = after(root, user);
  expect(seen.stable).toEqual(root.stable);
  expect(unit.plan(seen, {})).toEqual([]);
  expect(unit.diagnose(seen, {}).map(({ id }) => id)).not.toContain("root-would-add");
  const less = await factsOf(
    phantom({ files: { "/proc/meminfo": "MemTotal: 7000000 kB\nSwapTotal: 16777216 kB\n" } }),
  );
  expect(after(root, less).stable.memory.slots).toMatchObject({ because: "denied" });
});

test("root's view after a user's is stored, and says nothing of a change of the machine", async () => {
  const user = await factsOf(phantom());
  const seen = after(user, await factsOf(phantom({ root: true })));
  expect(unit.plan(seen, {})).toHaveLength(1);
  expect(texts(user.stable, seen.stable)).toEqual(["details differ: memory.slots, disks.0.smart"]);
});
