/** The router's presets: what the engine reads in them is what the profile says, whatever a model or a home is called. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { profileArguments } from "../../lib/llm/profile_form.ts";
import { canBePreset, presetsText, type Preset } from "../../lib/llm/router_presets.ts";
import { SPECULATIONS, type Profile } from "../../lib/llm/settings.ts";
import { slowdown, UNMEASURED, withShortSteps, type Sizes } from "../../lib/llm/step_batch.ts";
import { USUAL_PROFILE } from "../support/profile.ts";

const PROFILE: Profile = { ...USUAL_PROFILE, cpus: [0, 2], cacheTypeV: "q8_0", context: 8192 };
const preset = (name: string, path = `/home/op/models/${name}.gguf`): Preset => ({
  name,
  path,
  profile: PROFILE,
});

/** Reads the form as common/preset.cpp does: sections, "key = value", and ";" or "#" end a line wherever they stand. */
function read(text: string): Map<string, Map<string, string>> {
  const found = new Map<string, Map<string, string>>();
  let section = new Map<string, string>();
  for (const whole of text.split(/\r\n|\n|\r/)) {
    const line = whole.replace(/[ \t]*[;#].*$/, "").trim();
    const header = /^\[[ \t]*([^\]]+?)[ \t]*\]$/.exec(line)?.[1];
    const pair = /^([A-Za-z_][\w.-]*)[ \t]*=[ \t]*(.*)$/.exec(line);
    if (header !== undefined) found.set(header, (section = new Map()));
    else if (pair) section.set(pair[1] ?? "", (pair[2] ?? "").trimEnd());
    else if (line !== "") throw new Error(`the engine could not read: ${whole}`);
  }
  return found;
}

describe("the presets file", () => {
  test("says of each model what its profile's command line says", () => {
    const text = presetsText({ presets: [preset("a"), preset("b")], first: "b", promptCache: 256 });
    const sections = read(text);
    expect([...sections.keys()]).toEqual(["a", "b"]);
    const words = profileArguments(PROFILE);
    for (const [name, settings] of sections) {
      expect(settings.get("model")).toBe(`/home/op/models/${name}.gguf`);
      expect(settings.get("load-on-startup")).toBe(String(name === "b"));
      expect(settings.get("cache-ram")).toBe("256");
      for (const [at, word] of words.entries()) {
        if (!word.startsWith("--")) continue;
        const next = words[at + 1];
        const value = next === undefined || next.startsWith("--") ? "true" : next;
        expect([word, settings.get(word.slice(2))]).toEqual([word, value]);
      }
    }
  });

  test("any name and path is either refused or read back as it was", () => {
    const odd = fc.string({
      unit: fc.constantFrom("a", "B", "7", " ", ".", "-", ";", "#", "]", "[", ":", "\n", "é", "="),
      maxLength: 12,
    });
    fc.assert(
      fc.property(odd, odd, (name, folder) => {
        const one = preset(name, `/${folder}/m.gguf`);
        const options = { presets: [one], first: name, promptCache: 1 };
        if (!canBePreset(one)) return expect(() => presetsText(options)).toThrow("can't hold");
        const sections = read(presetsText(options));
        expect([...sections.keys()]).toEqual([name]);
        expect(sections.get(name)?.get("model")).toBe(one.path);
      }),
      { numRuns: 500 },
    );
  });

  test("names that the router takes for its own are refused", () => {
    for (const name of ["default", "*", "", "a:q4", " a", "a "]) {
      expect({ name, can: canBePreset(preset(name, "/m.gguf")) }).toEqual({ name, can: false });
    }
    expect(canBePreset(preset("x", "/a; b/m.gguf"))).toBe(false);
    expect(canBePreset(preset("SmolLM2-135M-Instruct.Q4_1", "/a b/m.gguf"))).toBe(true);
  });
});

describe("one step takes at most a second", () => {
  const speeds = fc.option(fc.double({ min: 0.1, max: 20_000, noNaN: true }), { nil: undefined });
  const profiles = fc.record({
    batch: fc.integer({ min: 1, max: 4096 }),
    ubatch: fc.integer({ min: 1, max: 4096 }),
    parallel: fc.integer({ min: 1, max: 16 }),
    speculation: fc.constantFrom(...SPECULATIONS),
    draft: fc.integer({ min: 0, max: 64 }),
  });

  const sizes: fc.Arbitrary<Sizes> = fc.record(
    {
      layers: fc.integer({ min: 1, max: 200 }),
      embedding: fc.integer({ min: 64, max: 16_384 }),
      parameters: fc.double({ min: 1e7, max: 1e12, noNaN: true }),
    },
    { requiredKeys: [] },
  );

  test("behind a full context, by what was measured, and no batch is ever made larger", () => {
    fc.assert(
      fc.property(profiles, speeds, sizes, (made, speed, model) => {
        const profile = { ...PROFILE, ...made };
        const { batch, ubatch } = withShortSteps(profile, speed, model);
        expect(batch).toBeLessThanOrEqual(made.batch);
        expect(ubatch).toBeLessThanOrEqual(Math.min(made.ubatch, batch));
        if (speed === undefined) expect(batch).toBeLessThanOrEqual(UNMEASURED);
        // a host so slow that eight tokens take longer gets eight all the same: fewer would gain nothing
        else if (batch > 8) expect(batch / (speed / slowdown(model, profile))).toBeLessThan(1);
      }),
    );
  });

  test("reading behind a context is reckoned as slow as it was measured", () => {
    const smol = { layers: 30, embedding: 576, parameters: 134_515_008 };
    // 15 ms at the start, 115 ms behind 2,500 tokens
    const measured = 115 / 15;
    const reckoned = slowdown(smol, { context: 2500, gpuLayers: 0 });
    expect(reckoned).toBeGreaterThan(measured * 0.9);
    expect(reckoned).toBeLessThan(measured * 1.3);
    expect(slowdown({}, { context: 2500, gpuLayers: 0 })).toBeGreaterThan(1);
  });

  test("the drafts of all slots fit one step, or there are none", () => {
    fc.assert(
      fc.property(profiles, speeds, (made, speed) => {
        const { speculation, draft, batch, parallel } = withShortSteps(
          { ...PROFILE, ...made },
          speed,
          {},
        );
        if (speculation === "none") return;
        expect<string>(speculation).toBe(made.speculation);
        const own = { "ngram-mod": 64, "ngram-cache": 16 } as Readonly<Record<string, number>>;
        const longest = draft === 0 ? (own[speculation] ?? 48) : draft;
        expect(parallel * (longest + 1)).toBeLessThanOrEqual(batch);
      }),
    );
  });

  test("a fast host keeps what was tuned", () => {
    const tuned = { ...PROFILE, batch: 512, speculation: "ngram-map-k", draft: 32 } as const;
    const mistral = { layers: 32, embedding: 4096, parameters: 7.2e9 };
    expect(withShortSteps(tuned, 40_000, mistral)).toEqual(tuned);
    expect(withShortSteps(tuned, 700, mistral)).toMatchObject({ batch: 64, ubatch: 64, draft: 15 });
  });
});
