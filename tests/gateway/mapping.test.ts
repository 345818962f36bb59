/** What a client calls a model, and what each host calls it. */
import { expect, test } from "bun:test";
import { Refusal } from "../../lib/gateway/errors.ts";
import { sameModel, wantedModel } from "../../lib/gateway/mapping.ts";

test("models by name, per host, and the same file by its digest", () => {
  const sha = (digit: string) => digit.repeat(64);
  const models = [
    {
      name: "m",
      on: {
        a: { name: "x", sha256: sha("1") },
        b: { name: "y", sha256: sha("1") },
        c: { name: "x", sha256: sha("2") },
      },
    },
    { name: "k", on: { a: { name: "k" }, b: { name: "k" }, c: { name: "other" } } },
  ];
  const wanted = wantedModel(models, "m");
  expect(wanted.at("b")?.name).toBe("y");
  expect(wanted.at("d")).toBeUndefined();
  expect([
    sameModel(wanted, "a", "b"),
    sameModel(wanted, "a", "c"),
    sameModel(wanted, "a", "d"),
  ]).toEqual([true, false, false]);
  const plain = wantedModel(models, "k");
  expect([
    sameModel(plain, "a", "b"),
    sameModel(plain, "a", "c"),
    sameModel(plain, "c", "c"),
  ]).toEqual([true, false, true]);
  expect(wantedModel(models, undefined).name).toBe("m");
  expect(() => wantedModel(models, "nobody")).toThrow(Refusal);
  expect(wantedModel([], "any").at("a")?.name).toBe("any");
});
