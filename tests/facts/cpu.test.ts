/** Processors, as /proc/cpuinfo and sysfs tell them. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  countCaches,
  cpuList,
  hybridCores,
  isaThatMatters,
  onePerCore,
  parseCpuinfo,
  parseCpuList,
} from "../../lib/facts/cpu.ts";
import { ALDER_LAKE_P, cpuinfoOf, recorded, shadowCpuinfo } from "./fixtures.ts";

test("a 12th generation hybrid is read whole, and its unequal cores give it away", () => {
  const cpu = parseCpuinfo(cpuinfoOf(recorded("i7-1260p.cpuinfo"), ALDER_LAKE_P));
  expect(cpu.model).toBe("12th Gen Intel(R) Core(TM) i7-1260P");
  expect(cpu).toMatchObject({
    vendor: "GenuineIntel",
    family: 6,
    modelNumber: 154,
    stepping: 3,
    microcode: "0x421",
    logical: 16,
    physical: 12,
    sockets: 1,
    hybrid: true,
    hypervisor: false,
  });
  expect(isaThatMatters(cpu.isa)).toEqual([
    "sse3",
    "ssse3",
    "sse4_1",
    "sse4_2",
    "avx",
    "f16c",
    "fma",
    "bmi2",
    "avx2",
    "avx_vnni",
  ]);
  expect(onePerCore(cpu.threads, [0, 1, 2, 3, 4, 5, 6, 7])).toEqual([0, 2, 4, 6]);
  expect(onePerCore(cpu.threads)).toEqual([0, 2, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15]);
});

test("shadow's i7-7700HQ has four equal cores with two threads, AVX2 and no AVX-512", () => {
  const cpu = parseCpuinfo(shadowCpuinfo());
  expect(cpu).toMatchObject({ logical: 8, physical: 4, hybrid: false, hypervisor: false });
  expect(isaThatMatters(cpu.isa)).toContain("avx2");
  expect(isaThatMatters(cpu.isa)).not.toContain("avx512f");
});

test("a virtual machine is seen as one", () => {
  const cpu = parseCpuinfo(recorded("vm.cpuinfo"));
  expect(cpu).toMatchObject({ logical: 2, physical: 2, hypervisor: true, hybrid: false });
  expect(cpu.bugs).toContain("retbleed");
  expect(isaThatMatters(cpu.isa)).toContain("avx512_vnni");
});

test("only flags that every processor has count", () => {
  const cpu = parseCpuinfo("processor : 0\nflags : avx2 avx512f\n\nprocessor : 1\nflags : avx2\n");
  expect([...cpu.isa]).toEqual(["avx2"]);
  expect(cpu.physical).toBeUndefined();
});

test("hybrid cores come from the two lists of the kernel, and only where both have some", () => {
  expect(hybridCores({ cpuCore: "0-7\n", cpuAtom: "8-15\n" })).toEqual({
    performance: [0, 1, 2, 3, 4, 5, 6, 7],
    efficiency: [8, 9, 10, 11, 12, 13, 14, 15],
  });
  for (const cpuAtom of [undefined, "", "\n", "8-", "9-8", "x"]) {
    expect(hybridCores({ cpuCore: "0-7", cpuAtom })).toBeUndefined();
  }
});

test("caches shared by several processors are counted once", () => {
  const texts = (sharedBy: string, level: string, size: string, type = "Unified") => ({
    level,
    type,
    size,
    sharedBy,
  });
  // an i7-1260P: 1280K per fast core, 2048K per four frugal ones, 18 MB for all (Intel ARK)
  const all = [
    texts("0-1", "2", "1280K"),
    texts("0-1", "2", "1280K"),
    texts("2-3", "2", "1280K"),
    texts("8-11", "2", "2048K"),
    texts("8-11", "2", "2048K"),
    texts("0-15", "3", "18432K"),
    texts("0-15", "3", "18432K"),
    texts("0-1", "1", "48K", "Data"),
    { level: "x", size: "48K" },
  ];
  expect(countCaches(all)).toEqual([
    { level: 1, type: "Data", bytes: 48 * 1024, count: 1 },
    { level: 2, type: "Unified", bytes: 1280 * 1024, count: 2 },
    { level: 2, type: "Unified", bytes: 2048 * 1024, count: 1 },
    { level: 3, type: "Unified", bytes: 18 * 1024 * 1024, count: 1 },
  ]);
});

test("cpu lists survive the way there and back", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(8191), { maxLength: 64 }), (cpus) => {
      expect(parseCpuList(cpuList(cpus))).toEqual(cpus.sort((a, b) => a - b));
    }),
  );
});

test("a hostile cpu list cannot make us count to four thousand million", () => {
  for (const text of ["0-4294967295", "0-99999", "-1", "1-", "0-3:1/2", "٣", "1,,2", "8192"]) {
    expect(parseCpuList(text)).toBeUndefined();
  }
});
