/** Garbage in: no exception, no hang, and nothing made up. Escapes stay data. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { countCaches, hybridCores, parseCpuinfo, parseCpuList } from "../../lib/facts/cpu.ts";
import { mountOf, parseSmartctl } from "../../lib/facts/disk.ts";
import { parseLspci, parseNvidiaSmi, parseNvidiaVersion } from "../../lib/facts/gpu.ts";
import {
  parseCmdline,
  parseLockdown,
  parseLsms,
  vulnerabilityState,
} from "../../lib/facts/kernel.ts";
import { parseDmiMemory, parseMeminfo } from "../../lib/facts/memory.ts";
import { parseOsRelease } from "../../lib/facts/os.ts";
import { parseLink } from "../../lib/facts/pci.ts";
import { recorded } from "./fixtures.ts";

const PARSERS: Readonly<Record<string, (text: string) => unknown>> = {
  parseCpuinfo,
  parseCpuList,
  parseSmartctl,
  parseLspci,
  parseNvidiaSmi,
  parseNvidiaVersion,
  parseCmdline,
  parseLockdown,
  parseLsms,
  vulnerabilityState,
  parseDmiMemory,
  parseMeminfo,
  parseOsRelease,

  parseLink: (text) => parseLink(text, text),
  mountOf: (text) => mountOf(text, "/home"),
  hybridCores: (text) => hybridCores({ cpuCore: text, cpuAtom: text }),
  countCaches: (text) => countCaches([{ level: text, type: text, size: text, sharedBy: text }]),
};
const RECORDINGS = [
  "i7-1260p.cpuinfo",
  "vm.cpuinfo",
  "vm.meminfo",
  "acer-vx5-591g.dmidecode",
  "acer-vx5-591g.lspci",
  "gtx-1050-ti.nvidia-smi.csv",
  "smart-nvme.json",
  "smart-ata-failing.json",
  "debian-12.os-release",
  "i7-7700hq.lscpu",
].map(recorded);

/** Real output with a piece cut out, doubled or overwritten. */
const damaged = fc
  .tuple(
    fc.constantFrom(...RECORDINGS),
    fc.nat(),
    fc.nat(200),
    fc.string({ maxLength: 40, unit: "binary" }),
  )
  .map(([text, at, length, put]) => {
    const from = at % (text.length + 1);
    return text.slice(0, from) + put + text.slice(from + length);
  });

test("no parser throws on text, damaged recordings or deep JSON", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), damaged, fc.json({ maxDepth: 4 })),
      (text) => {
        for (const parse of Object.values(PARSERS)) parse(text);
      },
    ),
    { numRuns: 300 },
  );
});

test("numbers are never NaN, infinite or negative counts", () => {
  const sound = (value: unknown): boolean =>
    typeof value === "number"
      ? Number.isFinite(value)
      : typeof value === "object" && value !== null
        ? Object.values(value).every(sound)
        : true;
  fc.assert(
    fc.property(damaged, (text) => {
      for (const parse of Object.values(PARSERS)) expect(sound(parse(text))).toBe(true);
    }),
  );
});

test("terminal escapes in a name are data, kept as they are", () => {
  const name = "\u001b]0;owned\u0007\u001b[31mred";
  expect(parseCpuinfo(`processor : 0\nmodel name : ${name}\n`).model).toBe(name);
  expect(parseNvidiaSmi(`name, driver_version\n${name}, 535.1\n`)[0]?.name).toBe(name);
  expect(parseOsRelease(`PRETTY_NAME="${name}"`).name).toBe(name);
});

test("a long hostile line is done with in no time", () => {
  const start = performance.now();
  for (const parse of Object.values(PARSERS)) {
    for (const piece of ["a ", "[", '"', "[0302]: ", "0-1,", "\\", "\n:", "LnkCap: Speed "]) {
      parse(`01:00.0 ${piece.repeat(40_000)}`);
    }
  }
  expect(performance.now() - start).toBeLessThan(5000);
});
