/** Both versions of what both sides changed, for the person to choose from. */
import { join } from "node:path";
import { identityOf, type Conflict, type State } from "./three_way.ts";
import { documentOf } from "./wire.ts";
import type { Probe } from "../machine/probe.ts";
import type { Trust } from "../trust/offer.ts";
import { generationPlace } from "./places.ts";
import { inHome } from "../keep/home.ts";
import { sha256 } from "../machine/hash.ts";
import { ask, ciphersFor, mirrorSsh, readingHands } from "./talk.ts";
import type { Act } from "../machine/act.ts";

/** A path in conflict, with the lines in which the two versions differ; none where they are not text. */
export interface Version {
  readonly path: string;
  readonly diff: readonly string[];
}

/** Conflicts whose difference is shown, and lines of each. */
const SHOWN = 5;
const LINES = 40;

/** What both sides have of the first few paths in conflict. */
export async function versionsOf(
  probe: Probe,
  trust: Trust,
  conflicts: readonly Conflict[],
): Promise<readonly Version[]> {
  const versions: Version[] = [];
  for (const conflict of conflicts.slice(0, SHOWN)) {
    versions.push({ path: conflict.path, diff: await diffOf(probe, trust, conflict) });
  }
  return versions;
}

async function diffOf(
  probe: Probe,
  trust: Trust,
  { path, mine, theirs }: Conflict,
): Promise<readonly string[]> {
  const here = textOf(mine === null ? undefined : bytesHere(probe, path), mine);
  const there = textOf(
    theirs === null ? undefined : await theirBytes(probe, readingHands(probe), trust, path, theirs),
    theirs,
  );
  if (here === undefined || there === undefined) return [];
  const place = join(probe.home, path);
  const ours = probe.stat(place)?.kind === "file" ? place : "/dev/null";
  const ran = await probe.run(
    [
      "diff",
      "-u",
      `--label=${path} on ${probe.host}`,
      `--label=${path} on ${trust.name}`,
      ours,
      "-",
    ],
    { input: there },
  );
  const lines = ran.stdout.split("\n").filter((line) => line !== "");
  if (lines.length <= LINES) return lines;
  return [...lines.slice(0, LINES), `… ${lines.length - LINES} more lines`];
}

function bytesHere(probe: Probe, path: string): Uint8Array | undefined {
  const entry = probe.stat(join(probe.home, path));
  if (entry?.kind !== "file" || entry.size > 1024 * 1024) return undefined;
  return probe.bytes(join(probe.home, path), 0, entry.size);
}

/** Text of what stands at a path; undefined where it is none. A link shows as where it leads. */
function textOf(bytes: Uint8Array | undefined, state: State): string | undefined {
  if (state === null) return "";
  if (state.startsWith("@")) return `link to ${state.slice(1)}\n`;
  if (bytes === undefined || bytes.includes(0)) return undefined;
  return new TextDecoder().decode(bytes);
}

/** The peer's version of a shared file, proven to be the one that `state` names; undefined where it can't be had. */
export async function theirBytes(
  probe: Probe,
  hands: Pick<Act, "run" | "real">,
  trust: Trust,
  path: string,
  state: string,
): Promise<Uint8Array | undefined> {
  const is = (bytes: Uint8Array) => identityOf(sha256(bytes), state.endsWith("x") ? 0o700 : 0o600);
  const generation = probe.stat(inHome.mirror(probe.home, trust.name, "current"))?.target;
  const mirrored =
    generation === undefined
      ? undefined
      : join(generationPlace(probe.home, trust.name, generation), path);
  const entry = mirrored === undefined ? undefined : probe.stat(mirrored);
  if (mirrored !== undefined && entry?.kind === "file") {
    const bytes = probe.bytes(mirrored, 0, entry.size);
    if (is(bytes) === state) return bytes;
  }
  const argv = mirrorSsh(hands, probe.home, trust, ciphersFor(probe));
  const word = Buffer.from(path).toString("base64url");
  const said = await ask(hands, argv, trust, ["read", word]);
  const { content } = documentOf(said, trust.name);
  if (typeof content !== "string") return undefined;
  const bytes = Buffer.from(content, "base64");
  return is(bytes) === state ? bytes : undefined;
}
