/** Memory: how much there is, and in which slots. */
import { expect, test } from "bun:test";
import { parseDmiMemory, parseMeminfo } from "../../lib/facts/memory.ts";
import { recorded } from "./fixtures.ts";

test("meminfo is in bytes", () => {
  const memory = parseMeminfo(recorded("vm.meminfo"));
  expect(memory?.total).toBe(25_276_063_744);
  expect(memory?.available).toBeLessThanOrEqual(memory?.total ?? 0);
  expect(memory).toMatchObject({ swapTotal: 0, swapFree: 0 });
});

test("an old kernel's free, buffers and cache stand in for its missing estimate", () => {
  const old = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 30 kB\n";
  expect(parseMeminfo(old)?.available).toBe(150 * 1024);
});

test("without a total there is no answer, rather than zero", () => {
  expect(parseMeminfo("")).toBeUndefined();
  expect(parseMeminfo("MemTotal: lots kB")).toBeUndefined();
  expect(parseMeminfo("MemTotal: 12 MB")).toBeUndefined();
});

test("the Aspire VX15 has one 8 GB module in each of two channels and two empty slots", () => {
  const slots = parseDmiMemory(recorded("acer-vx5-591g.dmidecode"));
  expect(slots.map(({ locator, bytes }) => [locator, bytes / 2 ** 30])).toEqual([
    ["ChannelA-DIMM0", 8],
    ["ChannelA-DIMM1", 0],
    ["ChannelB-DIMM0", 8],
    ["ChannelB-DIMM1", 0],
  ]);
  expect(slots[0]).toMatchObject({
    type: "DDR4",
    formFactor: "SODIMM",
    speed: 2400,
    part: "AE4S240038G17-BHYA",
  });
  expect(slots[1]).toEqual({ locator: "ChannelA-DIMM1", bank: "BANK 1", bytes: 0 });
});

test("the Galaxy Book2 Pro's soldered LPDDR5 is eight narrow devices of 2 GB", () => {
  const slots = parseDmiMemory(recorded("samsung-950xed.dmidecode"));
  expect(slots).toHaveLength(8);
  expect(slots.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(16 * 2 ** 30);
  expect(slots[7]).toMatchObject({
    locator: "Controller1-ChannelD",
    type: "LPDDR5",
    speed: 5200,
    formFactor: "Row Of Chips",
  });
});
