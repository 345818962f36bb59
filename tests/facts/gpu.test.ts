/** Graphics cards, as nvidia-smi and lspci tell them. */
import { expect, test } from "bun:test";
import {
  computeCapabilityOf,
  driverBranch,
  nvidiaArchitecture,
  parseLspci,
  parseNvidiaSmi,
  parseNvidiaVersion,
} from "../../lib/facts/gpu.ts";
import { recorded } from "./fixtures.ts";

test("a GTX 1050 Ti as nvidia-smi of driver 535 tells it", () => {
  expect(parseNvidiaSmi(recorded("gtx-1050-ti.nvidia-smi.csv"))).toEqual([
    {
      name: "NVIDIA GeForce GTX 1050 Ti",
      driver: "535.129.03",
      vram: 4096 * 2 ** 20,
      vramUsed: 6 * 2 ** 20,
    },
  ]);
});

test("columns are found by their headings, and what the card cannot tell is left out", () => {
  const text =
    "index, name, pci.bus_id, pci.device_id, compute_cap, pcie.link.gen.gpucurrent, pcie.link.gen.max, pcie.link.width.current, pcie.link.width.max, power.draw [W], power.limit [W], utilization.gpu [%], pstate\n" +
    "0, NVIDIA GeForce GTX 1050 Ti, 00000000:01:00.0, 0x1C8C10DE, 6.1, 1, 3, 16, 16, [N/A], [Not Supported], 3 %, P8\n";
  expect(parseNvidiaSmi(text)).toEqual([
    {
      name: "NVIDIA GeForce GTX 1050 Ti",
      address: "0000:01:00.0",
      id: "10de:1c8c",
      computeCapability: "6.1",
      linkGeneration: { current: 1, max: 3 },
      linkWidth: { current: 16, max: 16 },
      busy: 3,
      state: "P8",
    },
  ]);
});

test("what nvidia-smi says when it has nothing to say is no card", () => {
  for (const text of [
    "",
    "No devices were found\n",
    'Field "compute_cap" is not a valid field to query.\n',
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
    "index, name\n",
    "index, name\n0\n",
  ]) {
    expect(parseNvidiaSmi(text)).toEqual([]);
  }
});

test("lspci names both GPUs of the Aspire VX15 and the root port above the card", () => {
  const all = parseLspci(recorded("acer-vx5-591g.lspci"));
  expect(all.filter((one) => one.class.startsWith("03"))).toEqual([
    {
      address: "0000:00:02.0",
      class: "0300",
      className: "VGA compatible controller",
      id: "8086:591b",
      name: "Intel Corporation HD Graphics 630",
    },
    {
      address: "0000:01:00.0",
      class: "0302",
      className: "3D controller",
      id: "10de:1c8c",
      name: "NVIDIA Corporation GP107M [GeForce GTX 1050 Ti Mobile]",
    },
  ]);
  expect(all.map(({ id }) => id)).toContain("8086:1901");
  expect(parseLspci(recorded("samsung-950xed.lspci")).map(({ id }) => id)).toEqual([
    "8086:464d",
    "8086:463e",
    "144d:a809",
  ]);
});

test("the quoted form of lspci gives the same", () => {
  const line =
    '01:00.0 "3D controller [0302]" "NVIDIA Corporation [10de]" "GP107M [GeForce GTX 1050 Ti Mobile] [1c8c]" -ra1 "Acer Incorporated [ALI] [1025]" "GP107M [1128]"';
  expect(parseLspci(line)).toEqual(
    parseLspci(recorded("acer-vx5-591g.lspci")).filter(({ id }) => id === "10de:1c8c"),
  );
});

test("both GTX 1050 Ti are 6.1 by their id alone, and a card that is not listed stays unknown", () => {
  expect(computeCapabilityOf("10de:1c82")).toBe("6.1");
  expect(computeCapabilityOf("10de:1c8c")).toBe("6.1");
  expect(computeCapabilityOf("10de:2484")).toBeUndefined();
  expect(nvidiaArchitecture("6.1")).toBe("Pascal");
  expect(nvidiaArchitecture("7.5")).toBe("Turing");
  expect(nvidiaArchitecture("99.0")).toBeUndefined();
});

test("driver branches and the kernel module's own version", () => {
  expect(driverBranch("535.183.01")).toBe(535);
  expect(driverBranch("nouveau")).toBeUndefined();
  const text =
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n";
  expect(parseNvidiaVersion(text)).toBe("535.183.01");
  expect(parseNvidiaVersion("")).toBeUndefined();
});
