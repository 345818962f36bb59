/** `state`: how this host stands towards a peer that is about to mirror. Reads only, so that the peer's `--plan` writes nothing here either. */
import { join } from "node:path";
import { inHome } from "../../keep/home.ts";
import type { Probe } from "../../machine/probe.ts";
import { RELEASE } from "../../release.ts";
import type { HostName } from "../../unit.ts";
import { Hashes } from "../hashes.ts";
import {
  agreedWith,
  digestOf,
  heldModels,
  homeHashes,
  lookAtShared,
  missingModels,
  modelHashes,
  programOf,
} from "../held.ts";
import { generationPlace, MANIFEST, releaseFolder } from "../places.ts";
import { GENERATION } from "../rsync_words.ts";
import { keyOf } from "../scan.ts";
import { type Manifest, manifestOf, type PeerState, WIRE } from "../wire.ts";
import { newestFor, readMark } from "./mark.ts";
import { arriving } from "./model.ts";

/** A live generation. */
interface Live {
  readonly generation: string;
  readonly manifest: Manifest;
  readonly digest: string;
}

/** Says how this host stands; `digest` is of the manifest that the peer remembers, so that it need not be told again. */
export async function stateFor(
  probe: Probe,
  from: HostName,
  digest: string | undefined,
): Promise<PeerState> {
  const live = liveGeneration(probe, from);
  const space = probe.space(probe.home);
  const mark = readMark(probe, from);
  const { states, refused } = await lookAtShared(probe, homeHashes(probe));
  return {
    schema: WIRE,
    host: probe.host,
    release: `${RELEASE.version} ${RELEASE.commit ?? "from source"}`,
    now: Math.round(probe.now()),
    free: space?.free ?? 0,
    readOnly: space?.readOnly ?? false,
    current: live?.generation ?? null,
    next: nextGeneration(probe, from),
    digest: live?.digest ?? null,
    manifest: live === undefined || live.digest === digest ? null : live.manifest,
    damaged: live ? await damagedIn(probe, from, live) : [],
    shared: states,
    closed: refused.map((one) => one.path),
    agreed: agreedWith(probe, from),
    models: heldModels(probe, modelHashes(probe)).map(({ sha256, bytes, proven }) => ({
      sha256,
      bytes,
      proven,
    })),
    missing: missingModels(probe),
    arriving: arriving(probe, from),
    program: programOf(probe, join(probe.home, "bin")),
    newest: newestFor(probe, mark) ?? null,
    programsClosed: mark.damaged,
    allows: mark.allowed,
    built: programOf(probe, join(probe.home, releaseFolder(from))),
  };
}

/** The live generation of what `from` sent; undefined where there is none, or its list is gone or damaged: then all is sent anew. */
export function liveGeneration(probe: Probe, from: HostName): Live | undefined {
  const generation = probe.stat(inHome.mirror(probe.home, from, "current"))?.target ?? "";
  if (!GENERATION.test(generation)) return undefined;
  const text = probe.text(join(generationPlace(probe.home, from, generation), MANIFEST));
  if (text === undefined) return undefined;
  try {
    const manifest = manifestOf(JSON.parse(text), from);
    return { generation, manifest, digest: digestOf(text) };
  } catch {
    return undefined;
  }
}

/** Generations that were put live once, oldest first. */
export function generations(probe: Probe, from: HostName): readonly string[] {
  return probe.list(inHome.mirror(probe.home, from)).filter((name) => GENERATION.test(name));
}

function nextGeneration(probe: Probe, from: HostName): string {
  const last = Number(generations(probe, from).at(-1) ?? "0");
  return String(last + 1).padStart(8, "0");
}

/** The memory of the hashes of what arrived. */
export function arrivedHashes(probe: Probe, from: HostName, folder: string): Hashes {
  return new Hashes(probe, `from-${from}`, folder);
}

async function damagedIn(
  probe: Probe,
  from: HostName,
  { generation, manifest }: Live,
): Promise<readonly string[]> {
  const folder = generationPlace(probe.home, from, generation);
  const hashes = arrivedHashes(probe, from, folder);
  const damaged: string[] = [];
  for (const { path, bytes, sha256 } of manifest.files) {
    const entry = probe.stat(join(folder, path));
    const whole =
      entry?.kind === "file" &&
      entry.size === bytes &&
      (await hashes.of(path, keyOf(entry))) === sha256;
    if (!whole) damaged.push(path);
  }
  return damaged;
}
