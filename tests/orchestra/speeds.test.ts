/** What the benchmark's results say over time. */
import { expect, test } from "bun:test";
import { fallenSpeeds, speedLines, type Speed } from "../../lib/orchestra/speeds.ts";

const speed = (generation: number, build = "b-1", model = "small"): Speed => ({
  at: "2026-01-01T00:00:00.000Z",
  model,
  build,
  prompt: 200,
  generation,
});

test("a build that made a model clearly slower is named, with the way back", () => {
  const [finding] = fallenSpeeds([speed(100), speed(80, "b-2")]);
  expect(finding).toMatchObject({
    id: "slower-build-small",
    fix: ["./bin/03_build_llama_cpp", "--undo"],
  });
  expect(finding?.what).toContain("80.0 tokens/s on b-2, and did 100.0 on b-1");
});

test("noise, the same build, another model or a faster one are no reason", () => {
  expect(fallenSpeeds([speed(100), speed(95, "b-2")])).toEqual([]);
  expect(fallenSpeeds([speed(100), speed(50)])).toEqual([]);
  expect(fallenSpeeds([speed(100, "b-1", "large"), speed(50, "b-2")])).toEqual([]);
  expect(fallenSpeeds([speed(100), speed(150, "b-2")])).toEqual([]);
  expect(fallenSpeeds([speed(100), speed(50, "b-2"), speed(99, "b-1")])).toEqual([]);
  expect(fallenSpeeds([])).toEqual([]);
});

test("each model has its line, and a plot once there are two points", () => {
  expect(speedLines([speed(100)])).toEqual([
    "small: generation, tokens/s; the last 100.0, prompt 200.0",
  ]);
  expect(speedLines([speed(100), speed(90)]).length).toBeGreaterThan(5);
  expect(speedLines([])).toEqual([]);
});
