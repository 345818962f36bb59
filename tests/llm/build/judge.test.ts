/** What is planned, what is said, and what nobody asked about. */
import { describe, expect, test } from "bun:test";
import type { BuildFacts } from "../../../lib/llm/build/facts.ts";
import { diagnoseBuild } from "../../../lib/llm/build/judge.ts";
import { planBuild } from "../../../lib/llm/build/planning.ts";
import { unaskedBuild } from "../../../lib/llm/build/unasked.ts";
import type { Args, History, Step } from "../../../lib/unit.ts";
import { converged, GCC12, generationFor, HOME, PHANTOM, PLAIN, SHADOW } from "./worlds.ts";

const short = (steps: readonly Step[]) =>
  steps.map((step) => (step.do === "call" ? step.name : step.do));
const plan = (facts: BuildFacts, want: Args = {}) => short(planBuild(facts, want));
const found = (facts: BuildFacts, id: string, want: Args = {}) =>
  diagnoseBuild(facts, want).find((one) => one.id === id);
const NONE: History = { runs: [] };
const unasked = (facts: BuildFacts, history = NONE) =>
  unaskedBuild(facts, history).map((one) => one.id);

describe("the plan", () => {
  test("a fresh home: source, build, model, proof, link, in this order", () => {
    expect(plan(PLAIN)).toEqual(["fetch_source", "build_engine", "fetch", "prove_engine", "link"]);
  });
  test.each([PLAIN, PHANTOM, SHADOW])("nothing where the right build is live", (facts) => {
    expect(planBuild(converged(facts), {})).toEqual([]);
    expect(planBuild(converged(facts), { verify: true })).toEqual([]);
  });
  test("what is there is not fetched again", () => {
    const { source, model } = converged(PLAIN);
    expect(plan({ ...PLAIN, source, model })).toEqual(["build_engine", "prove_engine", "link"]);
  });
  test("a damaged copy of the source is replaced, also when nothing is built", () => {
    const facts = converged(PLAIN);
    const damaged: BuildFacts = { ...facts, source: { ...facts.source, state: "damaged" } };
    expect(plan(damaged)).toEqual(["fetch_source"]);
    expect(found(damaged, "source-damaged")?.level).toBe("warn");
    expect(found(facts, "source-damaged")).toBeUndefined();
    expect(plan({ ...facts, source: { ...facts.source, state: "absent" } })).toEqual([]);
  });
  test("a build that was never proven is proven before it goes live", () => {
    const generation = generationFor(PLAIN, { proof: undefined });
    expect(plan({ ...PLAIN, generations: [generation] })).toEqual([
      "fetch",
      "prove_engine",
      "link",
    ]);
  });
  test("a proven build that is not live is only linked", () => {
    expect(plan({ ...converged(PLAIN), live: undefined })).toEqual(["link"]);
    expect(plan({ ...converged(PLAIN), live: "b-000000000000" })).toEqual(["link"]);
  });
  test("a damaged one is set aside first, never overwritten", () => {
    const facts = { ...converged(PLAIN), generations: [generationFor(PLAIN, { damage: "bad" })] };
    expect(plan(facts)).toEqual(["move", "build_engine", "prove_engine"]);
    expect(planBuild(facts, {})[0]).toMatchObject({ to: `${HOME}/runtime/quarantine/engine-1` });
  });
  test("a new compiler: built beside the live one, which stays as the way back; older ones go", () => {
    const old = (id: string, proven: string | undefined) => {
      const made = generationFor(PLAIN);
      const proof = proven && made.proof ? { ...made.proof, at: proven } : undefined;
      return { ...made, id, info: { ...made.info, id }, proof };
    };
    const facts: BuildFacts = {
      ...converged(PLAIN),
      live: "b-000000000001",
      generations: [
        old("b-000000000003", undefined),
        old("b-000000000002", "2026-10-02"),
        old("b-000000000001", "2026-11-01"),
      ],
    };
    const steps = planBuild(facts, {});
    expect(short(steps)).toEqual(["build_engine", "prove_engine", "link", "remove", "remove"]);
    expect(steps.flatMap((step) => (step.do === "remove" ? [step.path.slice(-1)] : []))).toEqual([
      "2",
      "3",
    ]);
    expect(plan({ ...facts, retention: 3 }).filter((one) => one === "remove")).toHaveLength(1);
  });
  test("jobs follow the flag", () => {
    const jobs = (want: Args) =>
      planBuild(PLAIN, want).flatMap((step) =>
        step.do === "call" && step.name === "build_engine" ? [step.args["jobs"]] : [],
      );
    expect(jobs({ jobs: "3" })).toEqual([3]);
    expect(jobs({})).toEqual([4]);
  });
});

describe("findings", () => {
  test("missing tools block a build, with the line that installs them", () => {
    const facts = { ...PLAIN, toolchain: { hostCompilers: [] } };
    expect(found(facts, "tools-missing")).toMatchObject({
      level: "fail",
      fix: ["sudo", "apt-get", "install", "-y", "g++", "cmake", "git", "ninja-build"],
    });
    expect(planBuild(facts, {})).toEqual([]);
    expect(found(PLAIN, "tools-missing")).toBeUndefined();
  });
  test("a live build serves on where nothing can compile", () => {
    const facts = { ...converged(PLAIN), toolchain: { hostCompilers: [] } };
    expect(found(facts, "tools-missing")?.level).toBe("info");
    expect(planBuild(facts, {})).toEqual([]);
  });
  test("damage is corrupt for --verify, and mended otherwise", () => {
    const damaged = { ...converged(PLAIN), generations: [generationFor(PLAIN, { damage: "bad" })] };
    expect(found(damaged, "live-build-damaged", { verify: true })).toMatchObject({
      level: "fail",
      means: "corrupt",
    });
    expect(found(damaged, "live-build-damaged")?.level).toBe("warn");
    expect(found(converged(PLAIN), "live-build-damaged", { verify: true })).toBeUndefined();
  });
  test("why a rebuild is needed", () => {
    const facts = converged(PLAIN);
    const compiler = { ...GCC12, text: "g++ (Debian 12.2.1-1) 12.2.1" };
    const changed = { ...facts, toolchain: { ...facts.toolchain, compiler } };
    expect(found(changed, "rebuild-needed")?.why).toBe(
      "compiler: g++ (Debian 12.2.0-14+deb12u1) 12.2.0 -> g++ (Debian 12.2.1-1) 12.2.1",
    );
    expect(found(facts, "rebuild-needed")).toBeUndefined();
    expect(found(facts, "live-build-good")?.level).toBe("ok");
  });
  test("too little disk blocks a build and nothing else", () => {
    expect(found({ ...PLAIN, disk: 5e8 }, "disk-too-small")?.level).toBe("fail");
    expect(found({ ...SHADOW, disk: 2e9 }, "disk-too-small")?.level).toBe("fail");
    expect(found({ ...converged(PLAIN), disk: 5e8 }, "disk-too-small")).toBeUndefined();
  });
  test("a link that leads nowhere is said", () => {
    expect(found({ ...PLAIN, live: "b-0" }, "live-build-gone")?.level).toBe("warn");
  });
  test("a build that was begun is said", () => {
    const begun = [generationFor(PLAIN).id];
    expect(found({ ...PLAIN, begun }, "build-begun")).toBeDefined();
    expect(found({ ...PLAIN, begun: ["b-000000000000"] }, "build-begun")).toBeUndefined();
  });
  test("unusable flags", () => {
    for (const want of [{ with: "metal" }, { with: "cuda", without: "cuda" }]) {
      expect(found(PLAIN, "flag-not-usable", want)?.level).toBe("fail");
    }
    expect(found(PLAIN, "flag-not-usable", { with: "auto", jobs: "2" })).toBeUndefined();
  });
  test("hardware that stays unused is a warning", () => {
    const facts = { ...SHADOW, cuda: { driver: "535.1" } };
    expect(found(facts, "cuda-not-built")?.level).toBe("warn");
    expect(found(PLAIN, "cuda-not-built")?.level).toBe("info");
  });
});

test("a wish that changes nothing is not forgotten without a word", () => {
  const live = converged(PLAIN);
  const wished = { ...live, asked: { with: [], without: ["vulkan"] } };
  const said = found(wished, "wish-not-kept", { without: "vulkan" });
  expect(said?.what).toContain("--without vulkan changes nothing");
  expect(found(live, "wish-not-kept")).toBeUndefined();
  // one that the live build was made with, and one that a build is made for, are kept
  const kept = converged({ ...PLAIN, asked: wished.asked });
  expect(found(kept, "wish-not-kept", { without: "vulkan" })).toBeUndefined();
  expect(
    found({ ...PLAIN, asked: wished.asked }, "wish-not-kept", { without: "vulkan" }),
  ).toBeUndefined();
});

describe("what nobody asked about appears and vanishes", () => {
  test("an integrated GPU that lacks only packages", () => {
    const bare = { ...PHANTOM.vulkan, glslc: undefined, headers: false, spirv: false };
    const facts = { ...PHANTOM, vulkan: bare };
    expect(unasked(facts)).toContain("vulkan-would-help");
    expect(unasked(PHANTOM)).not.toContain("vulkan-would-help");
    const bookworm = { ...facts, os: { id: "debian", version: "12" } };
    expect(unasked(bookworm)).not.toContain("vulkan-would-help"); // its glslc would not do
    expect(unasked({ ...facts, graphics: [] })).not.toContain("vulkan-would-help");
  });
  test("a newer compiler beside the default one", () => {
    const hostCompilers = [{ path: "/usr/bin/g++-14", major: 14 }];
    const facts = { ...PLAIN, toolchain: { ...PLAIN.toolchain, hostCompilers } };
    expect(unasked(facts)).toContain("newer-compiler");
    expect(unasked(PLAIN)).not.toContain("newer-compiler");
  });
  test("no ccache, where there is something to build", () => {
    const without = (facts: BuildFacts) => ({
      ...facts,
      toolchain: { ...facts.toolchain, ccache: undefined },
    });
    expect(unasked(without(PLAIN))).toContain("no-ccache");
    expect(unasked(PLAIN)).not.toContain("no-ccache");
    expect(unasked(without(converged(PLAIN)))).not.toContain("no-ccache");
  });
  test("a build that was never proven", () => {
    const facts = converged(PLAIN);
    const other = { ...generationFor(PLAIN, { proof: undefined }), id: "b-000000000009" };
    expect(unasked({ ...facts, generations: [...facts.generations, other] })).toContain(
      "unproven-build-kept",
    );
    expect(unasked(facts)).not.toContain("unproven-build-kept");
  });
});
