/** What the two ends of a mirror tell each other: one JSON document each way. All of it is checked before it is used. */
import { ShelterError } from "../errors.ts";
import { type Made, parseMade } from "../orchestra/made.ts";
import type { HostName } from "../unit.ts";
import type { Change, State, States } from "./three_way.ts";
import { GENERATION } from "./rsync_words.ts";

/** Raised whenever an older release could no longer follow. */
export const WIRE = 1;
/** What one document may weigh, characters: a hundred thousand files and more. */
export const DOCUMENT_LIMIT = 64 * 1024 * 1024;

/** One file of a generation. `grows`: only its first `bytes` count, what was added since is for the next time. */
export interface Listed {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly grows?: true;
}

/** All of a generation. */
export interface Manifest {
  readonly schema: typeof WIRE;
  readonly from: HostName;
  readonly generation: string;
  readonly files: readonly Listed[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
}

/** A model that was sent beside a generation. */
export interface SentModel {
  readonly sha256: string;
  readonly bytes: number;
  /** Names to give it where they are free. */
  readonly names: readonly string[];
}

/** "Put this live": what `commit` is asked. */
export interface CommitRequest {
  readonly schema: typeof WIRE;
  readonly manifest: Manifest;
  /** Shared paths to change, from the files of this generation. */
  readonly changes: readonly Change[];
  /** What is agreed on after that. */
  readonly agreed: States;
  readonly models: readonly SentModel[];
  /** Generations to keep, the live one included. */
  readonly keep: number;
  /** A release of the programs is among the files: put it live if `was` is what runs there (hash of the program). */
  readonly release: { readonly was: State } | null;
}

/** What `commit` says. `again` lists what did not arrive as it should have: send it once more. */
export type CommitReply =
  | {
      readonly done: true;
      /** SHA-256 of the manifest as it is kept. */
      readonly digest: string;
      /** What was not put live, each with the reason. */
      readonly left: readonly string[];
      /** Why the programs were not put live; null where they were, or none came. */
      readonly programs: string | null;
      /** They were not, for their age alone. */
      readonly older: boolean;
    }
  | {
      readonly done: false;
      readonly again: readonly string[];
      readonly models: readonly string[];
    };

/** How a host stands: what `state` says. */
export interface PeerState {
  readonly schema: typeof WIRE;
  readonly host: HostName;
  /** Version and commit of its programs. */
  readonly release: string;
  /** Milliseconds since 1970, its clock. */
  readonly now: number;
  readonly free: number;
  readonly readOnly: boolean;
  /** The live generation of what we sent; null where there is none. */
  readonly current: string | null;
  /** The number that the next generation gets. */
  readonly next: string;
  /** SHA-256 of its manifest. */
  readonly digest: string | null;
  /** The manifest itself, where it is not the one whose digest was asked about. */
  readonly manifest: Manifest | null;
  /** Files of the live generation that are not what the manifest says. */
  readonly damaged: readonly string[];
  /** Its own shared paths as they are. */
  readonly shared: States;
  /** Shared paths where it has something that is not mirrored, e.g. a link that leads out: nothing goes there, or below. */
  readonly closed: readonly string[];
  /** What it has written down as agreed with us. */
  readonly agreed: States;
  readonly models: readonly HeldModel[];
  /** Hashes that a name of a model leads to without a file. */
  readonly missing: readonly string[];
  /** What came of our models in earlier tries: so much less is to go. Null where an older release does not say it. */
  readonly arriving: readonly { readonly sha256: string; readonly bytes: number }[] | null;
  /** SHA-256 of the program that its names lead to; null where none is known. */
  readonly program: State;
  /** What programs of ours must not be older than there; null where nothing there says its age. */
  readonly newest: Made | null;
  /** The note of that is damaged there: no other programs of ours go, unless they are those that `allows` names. */
  readonly programsClosed: boolean;
  /** Hash of older programs of ours that its operator allowed all the same. */
  readonly allows: State;
  /** Hash of the programs that it built for us. */
  readonly built: State;
}

/** A model's file on a host. */
export interface HeldModel {
  readonly sha256: string;
  readonly bytes: number;
  /** Hashed and found right since it last changed. */
  readonly proven: boolean;
}

const HASH = /^[0-9a-f]{64}$/;
const IDENTITY = /^(?:[0-9a-f]{64}x?|@[^\0]{1,4096})$/;
const MODEL_NAME = /^[A-Za-z0-9][\w.+-]{0,200}$/;

type Fields = Readonly<Record<string, unknown>>;

/** Reads a document's JSON; `bring` is the command that brings this host's programs to its writer. @throws ShelterError "mirror-malformed", "mirror-other-release" */
export function documentOf(text: string, from: string, bring?: readonly string[]): Fields {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch (error) {
    throw malformed(from, error instanceof Error ? error.message : String(error));
  }
  const fields = object(said, from, "the document");
  const { schema } = fields;
  if (schema !== WIRE) throw otherForm(from, schema, bring);
  return fields;
}

function otherForm(from: string, schema: unknown, bring?: readonly string[]): ShelterError {
  const newer = typeof schema === "number" && schema > WIRE;
  const older = typeof schema === "number" && schema < WIRE;
  const whose = newer
    ? "this host's programs are"
    : older
      ? "its programs are"
      : "one of the two is";
  return new ShelterError(
    "mirror-other-release",
    `talking to ${from}`,
    `its form of the mirror is ${JSON.stringify(schema)?.slice(0, 40) ?? "undefined"}, ours is ${WIRE}: ${whose} of an older release`,
    newer ? ["./bin/shelter", "update"] : bring,
  );
}

/** Checks what a peer asks to be put live. */
export function parseCommit(text: string, from: HostName): CommitRequest {
  const fields = documentOf(text, from);
  const release = fields["release"];
  return {
    schema: WIRE,
    manifest: manifestOf(fields["manifest"], from),
    changes: parseChanges(fields["changes"], from),
    agreed: statesOf(fields["agreed"], from),
    models: list(fields["models"], from, "models").map((one) => ({
      sha256: hash(one["sha256"], from),
      bytes: count(one["bytes"], from),
      names: texts(one["names"], from).filter((name) => MODEL_NAME.test(name)),
    })),
    keep: Math.max(1, count(fields["keep"], from)),
    release:
      release === null ? null : { was: state(object(release, from, "release")["was"], from) },
  };
}

/** Checks a list of changes. */
export function parseChanges(value: unknown, from: string): readonly Change[] {
  return list(value, from, "changes").map((one) => ({
    path: path(one["path"], from),
    was: state(one["was"], from),
    now: state(one["now"], from),
  }));
}

/** Checks what a commit was answered with. */
export function parseCommitReply(text: string, from: HostName): CommitReply {
  const fields = documentOf(text, from);
  if (fields["done"] === true) {
    const programs = fields["programs"];
    return {
      done: true,
      digest: hash(fields["digest"], from),
      left: texts(fields["left"], from),
      programs: typeof programs === "string" ? programs : null,
      older: fields["older"] === true,
    };
  }
  return {
    done: false,
    again: texts(fields["again"], from),
    models: texts(fields["models"], from),
  };
}

/** Checks how a peer says it stands; `bring` as in `documentOf`. */
export function parseState(text: string, from: HostName, bring?: readonly string[]): PeerState {
  const fields = documentOf(text, from, bring);
  const generation = (value: unknown) => {
    if (typeof value === "string" && GENERATION.test(value)) return value;
    throw malformed(from, "a generation has no name of ours");
  };
  const or = <T>(value: unknown, read: (one: unknown) => T) =>
    value === null ? null : read(value);
  return {
    schema: WIRE,
    host: text_(fields["host"], from),
    release: text_(fields["release"], from),
    now: time(fields["now"], from),
    free: count(fields["free"], from),
    readOnly: fields["readOnly"] === true,
    current: or(fields["current"], generation),
    next: generation(fields["next"]),
    digest: or(fields["digest"], (one) => hash(one, from)),
    manifest: or(fields["manifest"], (one) => manifestOf(one, from)),
    damaged: texts(fields["damaged"], from),
    shared: statesOf(fields["shared"], from),
    closed: texts(fields["closed"], from),
    agreed: statesOf(fields["agreed"], from),
    models: list(fields["models"], from, "models").map((one) => ({
      sha256: hash(one["sha256"], from),
      bytes: count(one["bytes"], from),
      proven: one["proven"] === true,
    })),
    missing: texts(fields["missing"], from).filter((one) => HASH.test(one)),
    arriving: or(fields["arriving"] ?? null, (said) =>
      list(said, from, "arriving").map((one) => ({
        sha256: hash(one["sha256"], from),
        bytes: count(one["bytes"], from),
      })),
    ),
    program: or(fields["program"], (one) => hash(one, from)),
    // a release from before these were said
    newest: parseMade(fields["newest"]) ?? null,
    programsClosed: fields["programsClosed"] === true,
    allows: or(fields["allows"] ?? null, (one) => hash(one, from)),
    built: or(fields["built"] ?? null, (one) => hash(one, from)),
  };
}

/** Checks a manifest. Whether its paths are its sender's to write is judged by `isMirrored`. */
export function manifestOf(value: unknown, from: string): Manifest {
  const fields = object(value, from, "the manifest");
  const generation = text_(fields["generation"], from);
  if (!GENERATION.test(generation)) throw malformed(from, "the generation has no name of ours");
  return {
    schema: WIRE,
    from: text_(fields["from"], from),
    generation,
    files: list(fields["files"], from, "files").map((one) => ({
      path: path(one["path"], from),
      bytes: count(one["bytes"], from),
      sha256: hash(one["sha256"], from),
      ...(one["grows"] === true ? { grows: true as const } : {}),
    })),
    links: list(fields["links"], from, "links").map((one) => ({
      path: path(one["path"], from),
      target: text_(one["target"], from),
    })),
  };
}

/** A path below a home, without a way out of it. */
export function isPlainPath(value: string): boolean {
  return (
    value !== "" &&
    value.length <= 4096 &&
    !value.includes("\0") &&
    value.split("/").every((part) => part !== "" && part !== "." && part !== "..")
  );
}

/** Checks a record of states by path. */
export function statesOf(value: unknown, from: string): States {
  const fields = object(value, from, "a list of states");
  for (const [key, one] of Object.entries(fields)) {
    path(key, from);
    if (typeof one !== "string" || !IDENTITY.test(one))
      throw malformed(from, `${key} has no state`);
  }
  return fields as States;
}

function state(value: unknown, from: string): State {
  if (value === null || (typeof value === "string" && IDENTITY.test(value))) return value;
  throw malformed(from, "a path has no state");
}

function path(value: unknown, from: string): string {
  if (typeof value === "string" && isPlainPath(value)) return value;
  throw malformed(from, "a path leads elsewhere");
}

function hash(value: unknown, from: string): string {
  if (typeof value === "string" && HASH.test(value)) return value;
  throw malformed(from, "a hash is none");
}

function count(value: unknown, from: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw malformed(from, "a number is none");
}

/** Milliseconds since 1970 that a Date can hold (ECMA-262, 21.4.1.1). */
function time(value: unknown, from: string): number {
  const said = count(value, from);
  if (said <= 8.64e15) return said;
  throw malformed(from, "a number is none");
}

function text_(value: unknown, from: string): string {
  if (typeof value === "string" && value !== "" && value.length <= 4096 && !value.includes("\0"))
    return value;
  throw malformed(from, "a text is none");
}

function texts(value: unknown, from: string): readonly string[] {
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value;
  throw malformed(from, "a list of texts is none");
}

function list(value: unknown, from: string, what: string): readonly Fields[] {
  if (!Array.isArray(value)) throw malformed(from, `${what} is no list`);
  return value.map((one: unknown) => object(one, from, `an entry of ${what}`));
}

function object(value: unknown, from: string, what: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw malformed(from, `${what} is missing`);
}

function malformed(from: string, why: string): ShelterError {
  return new ShelterError("mirror-malformed", `reading what ${from} said`, why);
}
