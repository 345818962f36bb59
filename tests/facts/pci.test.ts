/** PCI Express links, and which are below what both ends can do. */
import { expect, test } from "bun:test";
import { expectedLink, isBelow, linkText, parseLink } from "../../lib/facts/pci.ts";
import { recorded, recordedLinks } from "./fixtures.ts";

test("links as sysfs writes them", () => {
  expect(parseLink("8.0 GT/s PCIe\n", "16\n")).toEqual({ speed: 8, width: 16 });
  expect(parseLink("2.5 GT/s PCIe", "1")).toEqual({ speed: 2.5, width: 1 });
  for (const [speed, width] of [
    ["Unknown", "0"],
    ["8.0 GT/s PCIe", "255"],
    ["8.0 GT/s PCIe", "0"],
    [undefined, "4"],
    ["", ""],
  ] as const) {
    expect(parseLink(speed, width)).toBeUndefined();
  }
});

test("the Aspire VX15's card and its port are both Gen3 x16; the Wi-Fi's port can do more than the card in it", () => {
  const links = recordedLinks(recorded("acer-vx5-591g.lspci"));
  const expected = (endpoint: string, port: string) =>
    expectedLink(links.get(endpoint)?.max, links.get(port)?.max);
  expect(expected("01:00.0", "00:01.0")).toEqual({ speed: 8, width: 16 });
  expect(links.get("01:00.0")?.current).toEqual({ speed: 8, width: 16 });
  expect(expected("02:00.0", "00:1c.0")).toEqual({ speed: 2.5, width: 1 });
  expect(links.has("00:02.0")).toBe(false);
});

test("as a user lspci hides the links, and nothing is made up", () => {
  expect(recordedLinks(recorded("samsung-950xed.lspci")).size).toBe(0);
  expect(expectedLink({ speed: 8, width: 4 }, undefined)).toBeUndefined();
});

test("the lesser of both ends counts, for speed and for width", () => {
  expect(expectedLink({ speed: 16, width: 4 }, { speed: 8, width: 16 })).toEqual({
    speed: 8,
    width: 4,
  });
  expect(expectedLink({ speed: 8, width: 16 }, { speed: 16, width: 4 })).toEqual({
    speed: 8,
    width: 4,
  });
});

test("below is slower or narrower", () => {
  expect(isBelow({ speed: 2.5, width: 16 }, { speed: 8, width: 16 })).toBe(true);
  expect(isBelow({ speed: 8, width: 8 }, { speed: 8, width: 16 })).toBe(true);
  expect(isBelow({ speed: 8, width: 16 }, { speed: 8, width: 16 })).toBe(false);
  expect(linkText({ speed: 8, width: 16 })).toBe("Gen3 x16");
});
