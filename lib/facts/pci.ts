/** PCI Express links: what each end can do, what they do now, and what is to be expected. */
import { decimal, whole } from "./text.ts";

/** Speed of a link in giga-transfers per second and lane, and its number of lanes. */
export interface Link {
  readonly speed: number;
  readonly width: number;
}

/** A link from the texts of `{current,max}_link_speed` and `_width` in sysfs: "8.0 GT/s PCIe", "16". Undefined where there is none, or it sleeps ("Unknown", 0, 255). */
export function parseLink(
  speedText: string | undefined,
  widthText: string | undefined,
): Link | undefined {
  const speed = decimal(/^([\d.]+) GT\/s/.exec(speedText?.trim() ?? "")?.[1]);
  const width = whole(widthText);
  if (speed === undefined || speed <= 0 || width === undefined || width < 1 || width > 32) {
    return undefined;
  }
  return { speed, width };
}

/** What a link should reach: the lesser of both ends. Undefined where either end is not known. */
export function expectedLink(
  endpoint: Link | undefined,
  upstream: Link | undefined,
): Link | undefined {
  if (!endpoint || !upstream) return undefined;
  return {
    speed: Math.min(endpoint.speed, upstream.speed),
    width: Math.min(endpoint.width, upstream.width),
  };
}

/** True where a link is slower or narrower than another. */
export function isBelow(link: Link, other: Link): boolean {
  return link.speed < other.speed || link.width < other.width;
}

/** Generation of PCI Express by its speed: 8 GT/s is 3. Speeds: PCI Express base specification 6.0, 1.2. */
export function generationOf(speed: number): number | undefined {
  const at = [2.5, 5, 8, 16, 32, 64].indexOf(speed);
  return at < 0 ? undefined : at + 1;
}

/** "Gen3 x16", or the bare speed where its generation is not known. */
export function linkText(link: Link): string {
  const generation = generationOf(link.speed);
  return `${generation === undefined ? `${link.speed} GT/s` : `Gen${generation}`} x${link.width}`;
}
