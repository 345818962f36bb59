/** What a mirror says unasked: each made to appear and to vanish. */
import { expect, test } from "bun:test";
import type { MirrorFacts } from "../../lib/mirror/facts.ts";
import { unaskedMirror } from "../../lib/mirror/unasked.ts";
import type { Outcome, PastRun } from "../../lib/unit.ts";

/** What of one peer's facts counts here. */
const peer = (program: string | null) =>
  ({ peers: [{ name: "shadow", reached: true, release: { program } }] }) as unknown as MirrorFacts;
/** Runs one minute apart, the newest first. */
const runs = (...outcomes: readonly Outcome[]): readonly PastRun[] =>
  outcomes.map((outcome, ago) => ({
    run: `r${ago}`,
    script: "05_rsync_mirror",
    at: new Date(Date.UTC(2026, 0, 1, 0, -ago)).toISOString(),
    outcome,
    took_ms: 1,
    because: "peer-disk-full",
  }));
const ids = (facts: MirrorFacts, ...outcomes: readonly Outcome[]) =>
  unaskedMirror(facts, { runs: runs(...outcomes) }).map(({ id }) => id);

test("a mirror that fails three times in a row is named, with since when and why", () => {
  const [found] = unaskedMirror(peer("p"), {
    runs: runs("rolled-back", "blocked", "broken", "changed", "broken"),
  });
  expect(found).toMatchObject({ id: "mirror-keeps-failing", evidence: "peer-disk-full" });
  expect(found?.what).toContain("3 runs");
  expect(found?.why).toContain("2025-12-31T23:58:00.000Z");
  expect(ids(peer("p"), "rolled-back", "blocked", "broken")).toEqual(["mirror-keeps-failing"]);
  expect(ids(peer("p"), "rolled-back", "blocked", "converged")).toEqual([]);
  expect(ids(peer("p"), "changed", "broken", "broken", "broken")).toEqual([]);
});

test("a peer for which no programs were built is named until some are", () => {
  expect(ids(peer(null))).toEqual(["no-release-for-shadow"]);
  expect(ids(peer("p"))).toEqual([]);
});
