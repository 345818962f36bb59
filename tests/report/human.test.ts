/** The report as a stranger reads it. */
import { expect, test } from "bun:test";
import { humanReport, ranked } from "../../lib/report/human.ts";
import { NOIR, painter, wantsColour } from "../../lib/report/palette.ts";
import { progressBar } from "../../lib/report/progress.ts";
import type { Finding, RunReport } from "../../lib/unit.ts";

const PLAIN = { paint: painter(false), columns: 80, verbose: false };
const finding = (level: Finding["level"], id: string, fix?: readonly string[]): Finding => ({
  id,
  level,
  what: `${id} is so`,
  why: "it matters",
  evidence: "/etc/x",
  ...(fix ? { fix } : {}),
});
const report = (more: Partial<RunReport>): RunReport => ({
  schema: 1,
  run: "r",
  script: "00_check_structure",
  host: "phantom",
  outcome: "converged",
  at: "2026-01-01T00:00:00.000Z",
  took_ms: 1200,
  facts: null,
  findings: [],
  steps: [],
  unasked: [],
  ...more,
});

test("every report ends with the standard section, and says so when it is empty", () => {
  const lines = humanReport(report({}), PLAIN);
  const at = lines.indexOf("What didn't I ask you?");
  expect(at).toBeGreaterThan(0);
  expect(lines[at + 1]).toContain("Nothing beyond");
  expect(lines.at(-1)).toBe(
    "00_check_structure on phantom: nothing to do: all is as it should be (1.2 s)",
  );
});

test("an error says what, why and the next command, ready to copy", () => {
  const error = {
    id: "x",
    what: "downloading it",
    why: "HTTP 404",
    fix: ["./bin/x", "--home", "/a b"],
  };
  const text = humanReport(report({ outcome: "blocked", error }), PLAIN).join("\n");
  expect(text).toContain("downloading it: HTTP 404");
  expect(text).toContain("./bin/x --home '/a b'");
});

test("a finding that ended the run is said once", () => {
  const sick = finding("fail", "sick", ["mend", "it"]);
  const error = { id: "sick", what: sick.what, why: sick.why, fix: ["mend", "it"] };
  const text = humanReport(report({ outcome: "blocked", findings: [sick], error }), PLAIN).join(
    "\n",
  );
  expect(text.split("sick is so").length - 1).toBe(1);
  expect(text.split("mend it").length - 1).toBe(1);
});

test("a fix with one of our names can be typed as it stands", () => {
  const fixes = [
    ["03_install_models", "a b"],
    ["sudo", "00_check_structure"],
    ["apt-get", "update"],
  ];
  const findings = fixes.map((fix, n) => finding("warn", `w${n}`, fix));
  const text = humanReport(report({ findings }), PLAIN).join("\n");
  expect(text).toContain("    ./bin/03_install_models 'a b'");
  expect(text).toContain("    sudo ./bin/00_check_structure");
  expect(text).toContain("    apt-get update");
});

test("what nobody asked comes gravest first, each with its command", () => {
  const unasked = [finding("info", "a"), finding("fail", "b", ["mend", "b"]), finding("warn", "c")];
  expect(ranked(unasked).map((one) => one.id)).toEqual(["b", "c", "a"]);
  expect(humanReport(report({ unasked }), PLAIN).join("\n")).toContain("    mend b");
});

test("hundreds of steps are counted, and shown to who asks for them", () => {
  const steps = Array.from(
    { length: 23 },
    (_, n) => ({ do: "attr", text: `set ${n}.`, done: true }) as const,
  );
  const short = humanReport(report({ outcome: "changed", steps }), PLAIN).join("\n");
  expect(short).toContain("set 19.");
  expect(short).not.toContain("set 20.");
  expect(short).toContain("and 3 more: --verbose");
  const long = humanReport(report({ outcome: "changed", steps }), { ...PLAIN, verbose: true });
  expect(long.join("\n")).toContain("set 22.");
});

test("escapes in findings, steps, hosts and pictures are shown, not obeyed", () => {
  const evil = "\u001b]0;owned\u0007";
  const text = humanReport(
    report({
      host: evil,
      findings: [{ ...finding("warn", "w"), what: evil, why: evil }],
      steps: [{ do: "remove", text: evil, done: true }],
      picture: [evil],
      left: [evil],
      error: { id: "e", what: evil, why: evil, fix: [evil] },
    }),
    { ...PLAIN, verbose: true },
  ).join("\n");
  expect(text).not.toContain("\u001b");
  expect(text).not.toContain("\u0007");
});

test("at most one accent_gold on a screen", () => {
  const paint = painter(true);
  const accent = paint("accent_gold", "x").split("x")[0] ?? "";
  const text = humanReport(
    report({
      outcome: "changed",
      findings: [finding("warn", "w", ["a"])],
      unasked: [finding("info", "i", ["b"])],
    }),
    { ...PLAIN, paint },
  ).join("\n");
  expect(text.split(accent).length - 1).toBe(1);
  expect(NOIR.accent_gold).toBe("#DAA520");
});

test("colour only where the terminal wants it", () => {
  expect(wantsColour(true, {})).toBe(true);
  expect(wantsColour(true, { NO_COLOR: "1" })).toBe(false);
  expect(wantsColour(true, { TERM: "dumb" })).toBe(false);
  expect(wantsColour(false, {})).toBe(false);
});

test("a progress bar shows rate and time left, and never more columns than there are", () => {
  for (const isTerminal of [true, false]) {
    let now = 0;
    const written: string[] = [];
    const bar = progressBar({
      isTerminal,
      columns: () => 60,
      write: (text) => void written.push(text),
      paint: painter(false),
      now: () => now,
    });
    bar.draw("fetching", 0, 100 * 1024 * 1024, "B");
    now = 20_000;
    bar.draw("fetching", 50 * 1024 * 1024, 100 * 1024 * 1024, "B");
    now = 40_000;
    bar.draw("fetching", 100 * 1024 * 1024, 100 * 1024 * 1024, "B");
    bar.draw("fetching", 100 * 1024 * 1024, 100 * 1024 * 1024, "B");
    const text = written.join("");
    expect(text).toContain("50 %, 50.0 MiB of 100 MiB  2.5 MiB/s  20.0 s left");
    expect(text.split("100 %").length - 1).toBe(1);
    expect(text.includes("\r")).toBe(isTerminal);
    // oxlint-disable-next-line no-control-regex -- cursor movements are what is taken away
    const shown = text.split(/\r\u001b\[2K|\n/);
    if (isTerminal) for (const line of shown) expect(line.length).toBeLessThanOrEqual(60);
  }
});
