/** Profiles: the default of a host, their command line and their document. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { deviceBuffers, offloadedLayers, weightBuffers } from "../../lib/llm/offload.ts";
import { defaultProfile, type ProfileFacts } from "../../lib/llm/profile.ts";
import {
  cpuMask,
  parseProfile,
  profileArguments,
  profileJson,
} from "../../lib/llm/profile_form.ts";
import { CACHE_TYPES, SPECULATIONS, type Profile } from "../../lib/llm/settings.ts";

/** Core i7-1260P (phantom's kind): 4 fast cores with two threads each, 8 slow ones. */
const HYBRID: ProfileFacts = {
  logical: 16,
  threads: Array.from({ length: 16 }, (_, cpu) => ({
    cpu,
    socket: 0,
    core: cpu < 8 ? Math.floor(cpu / 2) : cpu,
  })),
  allowed: [],
  performance: [0, 1, 2, 3, 4, 5, 6, 7],
  gpu: false,
  model: { bytes: 4e9 },
};

const profiles: fc.Arbitrary<Profile> = fc.record({
  threads: fc.integer({ min: 1, max: 64 }),
  cpus: fc.uniqueArray(fc.integer({ min: 0, max: 127 }), { maxLength: 8 }),
  batch: fc.constantFrom(512, 2048),
  ubatch: fc.constantFrom(128, 512),
  flashAttention: fc.constantFrom("on" as const, "off" as const, "auto" as const),
  cacheTypeK: fc.constantFrom(...CACHE_TYPES),
  cacheTypeV: fc.constantFrom(...CACHE_TYPES),
  gpuLayers: fc.oneof(fc.constant("fit" as const), fc.integer({ min: 0, max: 99 })),
  speculation: fc.constantFrom(...SPECULATIONS),
  draft: fc.constantFrom(0, 16, 96),
  parallel: fc.integer({ min: 1, max: 8 }),
  context: fc.integer({ min: 512, max: 32768 }),
  kvUnified: fc.boolean(),
});

describe("the default profile", () => {
  test("of a hybrid: one pinned thread per fast core", () => {
    expect(defaultProfile(HYBRID)).toMatchObject({ threads: 4, cpus: [0, 2, 4, 6], gpuLayers: 0 });
  });
  test("of a processor with hyper-threading: one thread per core, not pinned", () => {
    const { performance: _, ...alike } = HYBRID;
    expect(defaultProfile(alike)).toMatchObject({ threads: 12, cpus: [] });
  });
  test("keeps to the processors that it may use", () => {
    expect(defaultProfile({ ...HYBRID, allowed: [0, 1, 2] })).toMatchObject({
      threads: 2,
      cpus: [0, 2],
    });
    expect(defaultProfile({ ...HYBRID, allowed: [8, 9] })).toMatchObject({ threads: 2, cpus: [] });
  });
  test("without any knowledge of cores still has a thread", () => {
    const blind = { ...HYBRID, threads: [], logical: 0 };
    const { performance: _, ...unknown } = blind;
    expect(defaultProfile(unknown).threads).toBe(1);
    expect(defaultProfile({ ...unknown, logical: 6 }).threads).toBe(6);
  });
  test("gives the cache at most half of what the weights leave, and never less than 512 tokens", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 64e9 }),
        fc.integer({ min: 1, max: 60e9 }),
        fc.integer({ min: 1024, max: 400 * 1024 }),
        fc.integer({ min: 512, max: 200_000 }),
        (available, bytes, kvBytesPerToken, context) => {
          const model = { bytes, kvBytesPerToken, context };
          const total = available + bytes;
          const profile = defaultProfile({ ...HYBRID, available, total, model });
          expect(profile.context).toBeGreaterThanOrEqual(512);
          expect(profile.context).toBeLessThanOrEqual(Math.min(8192, context));
          if (!profile.kvUnified) {
            const all = profile.context * profile.parallel * kvBytesPerToken;
            expect(all).toBeLessThanOrEqual((total / 2 - bytes) / 2);
          }
          if (profile.context > 512) {
            expect(profile.context * kvBytesPerToken).toBeLessThanOrEqual((available - bytes) / 2);
          }
        },
      ),
    );
  });
});

test("on the CPU alone each request has its own cache where there is room; a document of before shares one", () => {
  const model = { bytes: 1e8, kvBytesPerToken: 23_040, context: 8192 };
  const memory = { available: 20e9, total: 24e9 };
  const profile = defaultProfile({ ...HYBRID, ...memory, model });
  expect(profile.kvUnified).toBe(false);
  expect(defaultProfile({ ...HYBRID, ...memory, total: 3e9, model }).kvUnified).toBe(true);
  expect(defaultProfile({ ...HYBRID, ...memory, model, gpu: true }).kvUnified).toBe(true);
  // an engine that runs takes of what is free, and must not change what it is given
  const running = { ...memory, available: 17e9 };
  expect(defaultProfile({ ...HYBRID, ...running, model })).toEqual(profile);
  const { kvUnified: _, ...before } = profile;
  expect(parseProfile(before)?.kvUnified).toBe(true);
});

describe("a profile's forms", () => {
  test("a document gives back what was written", () => {
    fc.assert(
      fc.property(profiles, (profile) => {
        expect(parseProfile(JSON.parse(JSON.stringify(profileJson(profile))))).toEqual(profile);
      }),
    );
  });
  test("a document with one field spoilt is none", () => {
    const spoilt = fc.constantFrom(null, -1, 1.5, "x", {}, Number.NaN, 1e12);
    const [sample] = fc.sample(profiles, 1);
    const keys = Object.keys(sample ?? {});
    fc.assert(
      fc.property(profiles, fc.constantFrom(...keys), spoilt, (profile, key, value) => {
        expect(parseProfile({ ...profile, [key]: value })).toBeUndefined();
      }),
    );
    for (const value of [undefined, null, 3, "x", [], {}]) {
      expect(parseProfile(value)).toBeUndefined();
    }
  });
  test("only a profile for the CPU alone forbids devices, and only a profile with a GPU lets the engine fit", () => {
    fc.assert(
      fc.property(profiles, (profile) => {
        const words = profileArguments(profile).join(" ");
        expect(words.includes("--device none")).toBe(profile.gpuLayers === 0);
        expect(words.includes("--fit on")).toBe(profile.gpuLayers === "fit");
        const rooms = profile.kvUnified ? 1 : profile.parallel;
        expect(words).toContain(`--ctx-size ${profile.context * rooms}`);
        expect(words.includes("--no-kv-unified")).toBe(!profile.kvUnified);
        expect(words.includes("--cpu-mask")).toBe(profile.cpus.length > 0);
      }),
    );
  });
  test("masks have a bit per processor, also beyond 64", () => {
    expect(cpuMask([0, 2])).toBe("0x5");
    expect(cpuMask([0, 64])).toBe("0x10000000000000001");
  });
});

describe("where the weights went", () => {
  // recorded from llama-server v0.5.0 built for the CPU alone, verbosity 4: it claims layers on a GPU that is not there
  const ON_CPU = `0.00.148.744 I load_tensors: offloading output layer to GPU
0.00.148.766 I load_tensors: offloading 29 repeating layers to GPU
0.00.148.766 I load_tensors: offloaded 31/31 layers to GPU
0.00.148.771 I load_tensors:   CPU_Mapped model buffer size =    92.10 MiB
0.00.149.899 I llama_kv_cache:        CPU KV buffer size =    90.00 MiB`;
  test("a CPU build has them on the CPU, whatever it says of offloading", () => {
    expect(offloadedLayers(ON_CPU)).toBe(31);
    expect(deviceBuffers(weightBuffers(ON_CPU))).toEqual([]);
  });
  test("repacked, AMX and host buffers are the CPU's", () => {
    const log = ["CPU_REPACK", "AMX", "CUDA_Host", "CPU"]
      .map((name) => `load_tensors: ${name} model buffer size = 10.00 MiB`)
      .join("\n");
    expect(deviceBuffers(weightBuffers(log))).toEqual([]);
  });
  test("a device with weights is named, an empty one is not", () => {
    const log = `load_tensors:        CUDA0 model buffer size =  3577.56 MiB
load_tensors:      Vulkan1 model buffer size =     0.00 MiB`;
    expect(deviceBuffers(weightBuffers(log))).toEqual(["CUDA0"]);
  });
});
