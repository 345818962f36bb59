/** Disks: their health by smartctl, and which of them holds a path. */
import { expect, test } from "bun:test";
import { isFailing, mountOf, parseSmartctl } from "../../lib/facts/disk.ts";
import { recorded } from "./fixtures.ts";

test("a healthy NVMe disk", () => {
  const reading = parseSmartctl(recorded("smart-nvme.json"));
  expect(reading).toEqual({
    state: "ok",
    smart: {
      passed: true,
      mediaErrors: 0,
      wear: 0,
      hours: 2401,
      celsius: 36,
      model: "INTEL SSDPEKNW010T8",
    },
  });
  expect(reading.state === "ok" && isFailing(reading.smart)).toBe(false);
});

test("a failing hard disk: its verdict, its replaced and its unreadable sectors", () => {
  const reading = parseSmartctl(recorded("smart-ata-failing.json"));
  expect(reading).toMatchObject({
    state: "ok",
    smart: {
      passed: false,
      reallocated: 1975,
      pending: 8,
      hours: 65592,
      celsius: 25,
      rotation: 7200,
    },
  });
  expect(reading.state === "ok" && isFailing(reading.smart)).toBe(true);
});

test("each sign alone is enough to call a disk failing", () => {
  for (const sign of [{ passed: false }, { reallocated: 1 }, { pending: 1 }, { mediaErrors: 1 }]) {
    expect(isFailing(sign)).toBe(true);
  }
  expect(isFailing({ passed: true, reallocated: 0, pending: 0, mediaErrors: 0 })).toBe(false);
  expect(isFailing({})).toBe(false);
});

test("why there is no health to read is told apart", () => {
  const said = (string: string) =>
    JSON.stringify({ smartctl: { messages: [{ string, severity: "error" }], exit_status: 2 } });
  expect(
    parseSmartctl(said("Smartctl open device: /dev/sda failed: Permission denied")).state,
  ).toBe("denied");
  expect(parseSmartctl(said("Device is in STANDBY mode, exit(2)")).state).toBe("asleep");
  expect(parseSmartctl(JSON.stringify({ smart_support: { available: false } })).state).toBe(
    "unsupported",
  );
  expect(parseSmartctl(said("/dev/vda: Unable to detect device type")).state).toBe("unsupported");
  expect(parseSmartctl("").state).toBe("error");
  expect(parseSmartctl("[1]").state).toBe("error");
});

test("the mount with the longest point holds a path", () => {
  const mounts =
    "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 8:17 / /home rw - ext4 /dev/sdb1 rw\n24 22 0:40 / /home/a\\040b rw - tmpfs tmpfs rw\nnonsense\n";
  expect(mountOf(mounts, "/home/rc/x")).toEqual({
    device: "8:17",
    source: "/dev/sdb1",
    type: "ext4",
  });
  expect(mountOf(mounts, "/home/a b/c")?.device).toBe("0:40");
  expect(mountOf(mounts, "/homes")?.device).toBe("8:1");
  expect(mountOf("", "/")).toBeUndefined();
});
