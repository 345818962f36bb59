/** Whatever a peer's key asks rsync for: either it is refused, or every path in it is one of the peer's own places. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { normalize } from "node:path";
import { checkRsync } from "../../lib/mirror/rsync_words.ts";
import { requestWords } from "../../lib/peer/words.ts";

/** Words that rsync's server side knows, and some that it must never get to see. */
const WORDS = [
  ...["rsync", "--server", "--sender", "--daemon", "--config=/etc/passwd", "-e", "-s", "."],
  ...["-tpRe.LsfxCIvu", "-te.x", "-logDtpre.iLsfxCIvu", "-tpRLe.x", "-tpIRe31.x", "-tpske.x"],
  ...["--partial-dir", ".rsync-partial", "--partial-dir=.rsync-partial", "--inplace", "--partial"],
  ...["--timeout=60", "--timeout=0", "--timeout"],
  ...["--link-dest", "../00000001", "../../..", "/etc", "--link-dest=/etc", "--copy-links"],
  ...[
    "--copy-dest",
    "--compare-dest",
    "--backup-dir",
    "--temp-dir",
    "--log-file",
    "--write-devices",
  ],
  ...["--remove-source-files", "--delete", "--files-from", "--files-from=-", "--from0", "-"],
  ...["00000002.partial/", "00000002.partial/../../..", "00000002/", "00000002.partial", "models/"],
  ...[
    "models/../..",
    "offer/",
    `offer/${"a".repeat(64)}`,
    `offer/../${"a".repeat(64)}`,
    "/",
    "..",
    "",
  ],
  ...["kept/", "current/", "../shadow/", "~/.ssh/", "--", "--rsync-path=sh", "sh", "-c", "$(id)"],
] as const;

const anyWords = fc.oneof(
  { weight: 3, arbitrary: fc.array(fc.constantFrom(...WORDS), { maxLength: 10 }) },
  {
    weight: 3,
    // nearly right: a good line with one word changed, put in or taken out
    arbitrary: fc
      .record({
        line: fc.constantFrom(
          "rsync --server -tpRe.LsfxCIvu --partial-dir .rsync-partial --link-dest ../00000001 . 00000002.partial/",
          `rsync --server --sender -te.LsfxCIvu --inplace . offer/${"b".repeat(64)}`,
        ),
        at: fc.nat({ max: 9 }),
        drop: fc.boolean(),
        word: fc.oneof(fc.constantFrom(...WORDS), fc.string()),
      })
      .map(({ line, at, drop, word }) => line.split(" ").toSpliced(at, drop ? 1 : 0, word)),
  },
  { weight: 1, arbitrary: fc.array(fc.string(), { maxLength: 8 }) },
);

const ALLOWED = ["--partial-dir", "--link-dest", "--inplace", "--partial", "--timeout=60"];

/** Places that a peer may name, as rsync would see them from the peer's folder. */
const OWN = /^(?:\d{8}\.partial\/|models\/|offer\/[0-9a-f]{64}|\.|\.rsync-partial|\.\.\/\d{8})$/;

test("an accepted line names nothing outside, starts nothing else, and has no option that could", () => {
  let accepted = 0;
  fc.assert(
    fc.property(anyWords, (words) => {
      const checked = checkRsync(words);
      if (checked === undefined) return;
      accepted++;
      expect(checked.words).toEqual(words);
      expect(words.slice(0, 2)).toEqual(["rsync", "--server"]);
      for (const [at, word] of words.entries()) {
        if (at < 2 || word === "--sender") continue;
        if (word.startsWith("--")) {
          expect(ALLOWED).toContain(word);
        } else if (word.startsWith("-")) expect(word).toMatch(/^-[tpIR]+e\d*\.[A-Za-z]*$/);
        else expect(word).toMatch(OWN);
      }
      // seen from the arriving folder, "../00000001" is beside it: still in the peer's own
      const place = words.at(-1) ?? "";
      expect(normalize(`/m/${place}`)).toStartWith("/m/");
      for (const word of words.filter((one) => one.startsWith("../"))) {
        expect(normalize(`/m/${place}/${word}`)).toMatch(/^\/m\/\d{8}$/);
      }
    }),
    { numRuns: 20_000 },
  );
  expect(accepted).toBeGreaterThan(20);
});

test("the lines of rsync 3.2 to 3.5 pass, by way of the forced command's own reading", () => {
  for (const line of [
    "rsync --server -tpRe.LsfxCIvu --partial-dir .rsync-partial . 00000001.partial/",
    "rsync --server -tpRe.iLsfxCIvu --partial-dir .rsync-partial --link-dest ../00000001 . 00000002.partial/",
    "rsync --server -tpIRe.LsfxCIvu --partial-dir .rsync-partial . 00000002.partial/",
    `rsync --server --sender -te.LsfxCIvu --inplace . offer/${"0".repeat(64)}`,
    "rsync --server -tpRe.LsfxCIvu --timeout=60 --partial-dir .rsync-partial . 00000001.partial/",
    `rsync --server --sender -te.LsfxCIvu --timeout=60 --inplace . offer/${"0".repeat(64)}`,
  ]) {
    expect(checkRsync(requestWords(line))?.words.join(" ")).toBe(line);
  }
});

test("what each hole would look like is refused", () => {
  for (const line of [
    "rsync --server -tpRse.x . 00000001.partial/", // secluded arguments: what follows could not be checked
    "rsync --server -tlpRe.x . 00000001.partial/", // links
    "rsync --server -tpRe.x . /home/op/.ssh/",
    "rsync --server -tpRe.x . ../other/00000001.partial/",
    "rsync --server -tpRe.x . 00000001.partial/../../../..",
    "rsync --server -tpRe.x --link-dest /home/op . 00000001.partial/",
    "rsync --server -tpRe.x --link-dest ../00000001 --link-dest ../../x . 00000001.partial/",
    "rsync --server -tpRe.x --inplace . 00000001.partial/", // would write into an older generation's bytes
    "rsync --server --sender -tpRe.x . 00000001/",
    "rsync --server --sender -te.x --files-from=- . offer/",
    "rsync --server -tpRe.x --timeout=0 . 00000001.partial/", // would hold the lock for ever
    "rsync --daemon --config x .",
    "sh -c rsync --server -te.x . models/",
  ]) {
    expect(checkRsync(line.split(" "))).toBeUndefined();
  }
});
