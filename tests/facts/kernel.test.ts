/** The kernel's own words: command line, lockdown, vulnerabilities, Secure Boot, release. */
import { expect, test } from "bun:test";
import { efiByte, secureBootState } from "../../lib/facts/firmware.ts";
import {
  parseCmdline,
  parseLockdown,
  parseLsms,
  vulnerabilityState,
} from "../../lib/facts/kernel.ts";
import { isDebianLike, parseOsRelease } from "../../lib/facts/os.ts";
import { recorded } from "./fixtures.ts";

test("a command line shows what steers the kernel, and hides what names disks, hosts and keys", () => {
  expect(
    parseCmdline(
      'BOOT_IMAGE=/vmlinuz root=UUID=1234 ro quiet mitigations=auto,nosmt lsm=landlock,apparmor "dyndbg=file a b" nvidia-drm.modeset=1 -- --token secret\n',
    ),
  ).toEqual([
    "BOOT_IMAGE=…",
    "root=…",
    "ro",
    "quiet",
    "mitigations=auto,nosmt",
    "lsm=landlock,apparmor",
    '"dyndbg=…',
    "nvidia-drm.modeset=1",
  ]);
});

test("lockdown and security modules", () => {
  expect(parseLockdown("none [integrity] confidentiality\n")).toBe("integrity");
  expect(parseLockdown("")).toBeUndefined();
  expect(parseLsms("lockdown,capability,landlock,yama,apparmor\n")).toEqual([
    "lockdown",
    "capability",
    "landlock",
    "yama",
    "apparmor",
  ]);
  expect(parseLsms("")).toEqual([]);
});

test("each sentence of the kernel about a vulnerability has one meaning", () => {
  const said = recorded("i7-7700hq.lscpu")
    .split("\n")
    .filter((line) => line.startsWith("Vulnerability"));
  expect(said.map((line) => vulnerabilityState(line.slice(33)))).toEqual([
    "mitigated",
    "mitigated",
    "mitigated",
    "mitigated",
    "mitigated",
    "mitigated",
    "mitigated",
    "mitigated",
    "safe",
  ]);
  expect(
    vulnerabilityState("Vulnerable: Clear CPU buffers attempted, no microcode; SMT vulnerable"),
  ).toBe("vulnerable");
  expect(vulnerabilityState("KVM: Vulnerable")).toBe("vulnerable");
  expect(vulnerabilityState("Unknown: Dependent on hypervisor status")).toBe("unknown");
  expect(vulnerabilityState("")).toBe("unknown");
});

test("Secure Boot is what three variables say together", () => {
  const state = (secureBoot?: number, setupMode?: number, mokState?: number) =>
    secureBootState({ secureBoot, setupMode, mokState });
  expect(state(1, 0)).toBe("on");
  expect(state(1, 0, 0)).toBe("on");
  expect(state(1, 0, 1)).toBe("shim-off");
  expect(state(1, 1)).toBe("setup");
  expect(state(0, 0)).toBe("off");
  expect(state()).toBeUndefined();
  expect(efiByte(Uint8Array.of(6, 0, 0, 0, 1))).toBe(1);
  expect(efiByte(Uint8Array.of(6, 0, 0, 0))).toBeUndefined();
});

test("os-release of Debian, Kali, and of one that says nothing", () => {
  expect(parseOsRelease(recorded("debian-12.os-release"))).toEqual({
    id: "debian",
    like: [],
    name: "Debian GNU/Linux 12 (bookworm)",
    version: "12",
    codename: "bookworm",
  });
  const kali = parseOsRelease(
    'PRETTY_NAME="Kali GNU/Linux Rolling"\nID=kali\nID_LIKE=debian\nVERSION_ID="2025.2"\nVERSION_CODENAME=kali-rolling\n',
  );
  expect(kali).toMatchObject({ id: "kali", like: ["debian"], codename: "kali-rolling" });
  expect(isDebianLike(kali)).toBe(true);
  expect(parseOsRelease("")).toEqual({ id: "linux", like: [], name: "linux" });
  expect(parseOsRelease('NAME="a \\"b\\" $(reboot) `id`"').name).toBe('a "b" $(reboot) `id`');
});
