/** Reads PCI Express links from sysfs: what both ends can do, and what they do now. */
import { expectedLink, isBelow, linkText, parseLink, type Link } from "../facts/pci.ts";
import type { Probe } from "../machine/probe.ts";
import type { Moving, PciLink } from "./document.ts";
import { absent, failed, isKnown } from "./known.ts";

/** Where the kernel lists all functions of the PCI bus. */
export const DEVICES = "/sys/bus/pci/devices";

/** A link end's fastest, from sysfs. */
function fastest(probe: Probe, folder: string): Link | undefined {
  return parseLink(probe.text(`${folder}/max_link_speed`), probe.text(`${folder}/max_link_width`));
}

/** The link of one device, or none where it has no link: a GPU inside the processor. */
export function linkOf(probe: Probe, address: string, name: string): readonly PciLink[] {
  const folder = `${DEVICES}/${address}`;
  const max = fastest(probe, folder);
  if (!max) return [];
  const parent = probe.real(folder)?.split("/").at(-2);
  const above = parent === undefined ? undefined : fastest(probe, `${DEVICES}/${parent}`);
  const expected = expectedLink(max, above);
  return [
    {
      address,
      name,
      max,
      upstream:
        parent !== undefined && above
          ? { address: parent, max: above }
          : absent("the port above it shows no link"),
      expected: expected ?? absent("the port above it shows no link"),
    },
  ];
}

/** What a link does now. A GPU slows its link down when it has nothing to do, so a slow link of an idle one says nothing. */
export function linkNow(
  probe: Probe,
  { address, expected }: PciLink,
  busy: number | undefined,
): Moving["links"][number] {
  const folder = `${DEVICES}/${address}`;
  const current = parseLink(
    probe.text(`${folder}/current_link_speed`),
    probe.text(`${folder}/current_link_width`),
  );
  const asleep = probe.text(`${folder}/power/runtime_status`)?.trim() === "suspended";
  if (!current) {
    const why = asleep ? "the device sleeps" : "the kernel does not tell the current link";
    return { address, current: asleep ? absent(why) : failed(why), state: "unknown", why };
  }
  if (!isKnown(expected)) {
    return { address, current, state: "unknown", why: "what to expect is not known" };
  }
  if (!isBelow(current, expected)) {
    return { address, current, state: "as-expected", why: linkText(current) };
  }
  const below = `${linkText(current)} where ${linkText(expected)} is to be expected`;
  if ((busy ?? 0) >= 50) {
    return { address, current, state: "below", why: `${below}, while ${busy} % busy` };
  }
  return { address, current, state: "unknown", why: `${below}: idle devices slow their link down` };
}
