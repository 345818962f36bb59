/** Generated homes: what a person, a crash, an old release or somebody hostile may have left in one. */
import { join } from "node:path";
import * as fc from "fast-check";
import { DEFAULT_CONFIG_TEXT } from "../../lib/hosts/config_default.ts";
import { foldersOf } from "../../lib/home/layout.ts";
import type { Step } from "../../lib/unit.ts";
import { FAKE_HOME, type FakeFile } from "./fake_machine.ts";

/** Files by path, in the order in which they are made. */
export type Files = Readonly<Record<string, FakeFile>>;

const ROOT = process.getuid?.() === 0;
/** Only root can look into what its owner locked itself out of. */
const kept = (mode: number) => (ROOT ? mode : mode | 0o600);

const fileMode = fc
  .constantFrom(0o600, 0o644, 0o664, 0o666, 0o755, 0o777, 0o4755, 0o6750, 0o400, 0o000)
  .map(kept);
const folderMode = fc.constantFrom(0o700, 0o755, 0o775, 0o777, 0o2775, 0o1777);

/** Names as they should not be: spaces, line breaks, escapes, an option, other scripts. */
const name = fc.oneof(
  fc.constantFrom(
    "plain",
    "two words",
    "new\nline",
    "esc\u001b[2Jape",
    "-rf",
    "größe",
    "名前",
    "a'b\"c",
    "api-key",
    "x.pem",
    ".env",
    "id_rsa.pub",
    "*",
  ),
  fc.stringMatching(/^[a-z]{1,8}$/),
);
const place = fc.constantFrom(
  "",
  "agents",
  "models",
  "runtime",
  "runtime/identity",
  "runtime/work/keys",
  "logs",
  "logs/memory",
  "status",
  "bin",
  "scripts",
  "venv/one/bin",
  "deep/er/than",
);

/** A file of anybody's, anywhere, with any mode; sometimes root's in a home that is not. */
const junk = fc
  .tuple(place, name, fileMode, fc.string())
  .map(([folder, file, mode, text]): [string, FakeFile] => [
    join(FAKE_HOME, folder, `junk ${file}`),
    { text, mode },
  ]);

/** A link: inside, leaving, leading nowhere, or round in a circle. */
const link = fc
  .tuple(
    place,
    name,
    fc.constantFrom("/etc", "/outside/theirs", "nowhere", ".", "..", "../../../../outside", "loop"),
  )
  .map(([folder, file, target]): [string, FakeFile] => [
    join(FAKE_HOME, folder, `link ${file}`),
    { link: target === "loop" ? `link ${file}` : target },
  ]);

/** One of the home's own folders, with whatever mode. */
const ownFolder = fc
  .tuple(fc.constantFrom(...foldersOf(FAKE_HOME, "testhost").map(({ path }) => path)), folderMode)
  .map(([path, mode]): [string, FakeFile] => [path, { folder: true, mode }]);

/** What a killed run leaves: a temporary file or folder. */
const temporary = fc
  .tuple(place, fc.stringMatching(/^[0-9a-f]{16}$/), fc.boolean())
  .map(([folder, id, isFile]): [string, FakeFile] =>
    isFile
      ? [join(FAKE_HOME, folder, `.shelter-tmp-${id}`), "half"]
      : [join(FAKE_HOME, folder, `.shelter-tmp-${id}`, "holder.json"), "{}"],
  );

/** Scratch space, old or not by the machine's clock. */
const work = fc
  .tuple(
    fc.constantFrom(
      "fetch/0a1b",
      "fetch/2c3d",
      "server/e.log",
      "build",
      "build/tree/deep",
      "ccache",
    ),
    name,
  )
  .map(([folder, file]): [string, FakeFile] => [
    join(FAKE_HOME, "runtime/work", folder, file),
    "scratch",
  ]);

/** The lock of a run that ended with the boot before this one. */
const deadLock = fc
  .constantFrom("03_build_llama_cpp", "journal", "apt", "04_llm_benchmark")
  .map((script): [string, FakeFile] => [
    join(FAKE_HOME, "runtime/locks", `${script}.lock`, "holder.json"),
    JSON.stringify({
      pid: 77,
      started: "1",
      boot: "another",
      script,
      since: "2026-01-01T00:00:00.000Z",
      nonce: "x",
    }),
  ]);

/** A status file that a full disk or a careless hand left. */
const status = fc
  .tuple(
    fc.constantFrom("llama_cpp_built", "models_installed", "dirs_scaffolded", "structure_ok"),
    fc.constantFrom(
      "",
      "{",
      '{"schema": 2}',
      "null",
      '{"schema":1,"outcome":"converged"',
      "\u0000\u0000\u0000",
    ),
  )
  .map(([flag, text]): [string, FakeFile] => [
    join(FAKE_HOME, "status/testhost", `${flag}.json`),
    text,
  ]);

/** A record of one run that ended, so that its status can be rebuilt. */
const journal = fc
  .constantFrom("llama_cpp_built", "models_installed")
  .map((flag): [string, FakeFile] => {
    const common = {
      schema: 1,
      at: "2026-01-01T00:00:00.000Z",
      run: "r1",
      script: "03_build_llama_cpp",
    };
    const begin = { ...common, index: 0, kind: "begin", steps: [] };
    const end = {
      ...common,
      index: 1,
      kind: "end",
      outcome: "changed",
      took_ms: 1,
      steps: 0,
      log_sha256: "",
      flag,
      fingerprint: "f",
      facts: {},
    };
    return [
      join(FAKE_HOME, "logs/journal/testhost/00000000.jsonl"),
      `${JSON.stringify(begin)}\n${JSON.stringify(end)}\n`,
    ];
  });

/** shared.cfg that is missing, fresh, filled in, or damaged: never one with a wrong value, which blocks. */
const config = fc
  .tuple(
    fc.constantFrom(
      DEFAULT_CONFIG_TEXT,
      "",
      "work: {max_age_days: 3}\ncolour: gold\n",
      "hosts: [\n",
      "\u0000\u0000",
      "- a list\n",
    ),
    fileMode,
  )
  .map(([text, mode]): [string, FakeFile] => [
    join(FAKE_HOME, "shared.cfg"),
    { text, mode: mode | 0o400 },
  ]);

const some = (what: fc.Arbitrary<[string, FakeFile]>, maxLength: number) =>
  fc.array(what, { maxLength });

/** Any of it together. Nothing is made below something that is no folder. */
export const anyHome: fc.Arbitrary<Files> = fc
  .tuple(
    some(config, 1),
    some(ownFolder, 6),
    some(journal, 1),
    some(status, 2),
    some(junk, 5),
    some(link, 3),
    some(temporary, 2),
    some(work, 3),
    some(deadLock, 2),
    folderMode,
  )
  .map(([one, two, three, four, five, six, seven, eight, nine, mode]) => {
    const files: Record<string, FakeFile> = {
      "/etc/hostname": "testhost\n",
      "/outside/theirs": { text: "not ours", mode: 0o666 },
      [FAKE_HOME]: { folder: true, mode },
    };
    for (const [path, file] of [two, one, three, four, five, six, seven, eight, nine].flat()) {
      if (!Object.hasOwn(files, path)) files[path] = file;
    }
    return files;
  });

/** What is as it should be after a run even when its own step was dropped, and why. */
export function madeOnTheWay(step: Step): string | undefined {
  if (step.do === "call") {
    const all = step.args["flags"] ?? step.args["names"];
    const own =
      Array.isArray(all) && all.every((one) => one === "structure_ok" || one === "journal");
    return own
      ? "the engine mends the status of its own run, and takes over a dead lock of the journal"
      : undefined;
  }
  if (step.do !== "dir") return undefined;
  const all = foldersOf(FAKE_HOME, "testhost").map(({ path }) => path);
  if (all.some((path) => path.startsWith(`${step.path}/`)))
    return "made on the way to a folder in it";
  const ours =
    /\/(?:runtime\/(?:locks|snapshots)|logs\/(?:journal|memory)\/testhost|status\/testhost)$/;
  return ours.test(step.path) ? "the engine makes it for its own record" : undefined;
}
