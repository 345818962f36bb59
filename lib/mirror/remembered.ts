/** The last manifest that went to a peer, kept here so that it need not be told back: a memory, which the peer's digest proves. */
import { inHome } from "../keep/home.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName } from "../unit.ts";
import { digestOf } from "./held.ts";
import { type Manifest, manifestOf } from "./wire.ts";

const place = (home: string, peer: HostName) => inHome.work(home, "mirror", `sent-${peer}.json`);

/** A manifest that is remembered. It is read only when it is asked for: its digest goes to the peer first. */
interface Remembered {
  readonly digest: string;
  readonly manifest: () => Manifest | undefined;
}

/** The manifest as it was sent, and its digest; undefined where it is forgotten. */
export function rememberedManifest(
  probe: Pick<Probe, "home" | "text">,
  peer: HostName,
): Remembered | undefined {
  const text = probe.text(place(probe.home, peer));
  if (text === undefined) return undefined;
  return {
    digest: digestOf(text),
    manifest: () => {
      try {
        return manifestOf(JSON.parse(text), peer);
      } catch {
        return undefined; // then the peer tells it
      }
    },
  };
}

/** Remembers a manifest. */
export function rememberManifest(
  probe: Pick<Probe, "home">,
  act: Pick<Act, "write" | "makeFolder">,
  peer: HostName,
  manifest: Manifest,
): void {
  act.makeFolder(inHome.work(probe.home, "mirror"));
  act.write(place(probe.home, peer), JSON.stringify(manifest));
}
