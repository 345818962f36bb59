/** The named call of 04_llm_benchmark that measures. Tuning stands in lib/llm/tune. */
import { dirname } from "node:path";
import { ShelterError } from "../../errors.ts";
import type { Call, CallContext, Json } from "../../unit.ts";
import { builds, liveBuild, type Build } from "../builds.ts";
import { servedProfile } from "../profile.ts";
import { installedModels, type InstalledModel } from "../store.ts";
import { betterOf, falls, nextBaseline, references } from "./judge.ts";
import { measure } from "./measure.ts";
import { documentText, readBaselines, sameSeries, seriesOf } from "./results.ts";

type CallArgs = { readonly [key: string]: Json };

/** Measures one model on the live build and keeps the result; a result below the baseline is measured twice before it is believed. */
export const measureCall: Call = async (context, args) => {
  const { probe, act, say } = context;
  const { model, build } = await subjectOf(context, args);
  const profile = servedProfile(probe, model, build);
  const series = seriesOf(model.sha256, build.id, profile);
  const baselines = readBaselines(probe);
  const others = builds(probe).flatMap(({ id }) => (id === build.id ? [] : [id]));
  const own = baselines.find((one) => sameSeries(one.series, series));
  const load = (own ?? baselines.find((one) => one.series.model === series.model))?.load;
  const method = { load, preheat: 1000 * numberArg(args, "preheat") };
  const subject = { build, model, profile };
  let result = await measure(context, subject, method);
  const against = references(series, result.load, baselines, others);
  if (falls(result, against).length > 0) {
    say.line(`${model.name} is below its baseline: measuring once more to be sure`);
    const again = await measure(context, subject, { ...method, load: result.load });
    result = betterOf(result, again, against);
  }
  const fallen = falls(result, against);
  const path = textIn(args, "to", "result");
  act.makeFolder(dirname(path));
  act.write(path, documentText(result), 0o644);
  const baseline = nextBaseline(result, own, fallen);
  if (baseline) {
    const to = textIn(args, "to", "baseline");
    act.makeFolder(dirname(to));
    act.write(to, documentText(baseline), 0o644);
  }
  say.detail({ measured: model.name, result: path, falls: fallen.length });
};

/** The model and the build that a step names; both may have changed since it was planned. */
export async function subjectOf(
  { probe }: CallContext,
  args: CallArgs,
): Promise<{ readonly model: InstalledModel; readonly build: Build }> {
  const build = liveBuild(probe);
  if (!build || build.id !== textArg(args, "build")) {
    throw new ShelterError(
      "engine-changed",
      `measuring build ${textArg(args, "build")}`,
      build ? `build ${build.id} has gone live meanwhile` : "there is no live build any more",
      ["./bin/04_llm_benchmark"],
    );
  }
  const model = (await installedModels(probe)).find(
    (one) => one.name === textArg(args, "model") && one.sha256 === textIn(args, "of", "sha256"),
  );
  if (model) return { model, build };
  throw new ShelterError(
    "model-changed",
    `measuring ${textArg(args, "model")}`,
    "it is not installed any more, or its file has changed",
    ["./bin/03_install_models", "--verify"],
  );
}

/** An argument of a step as text; an empty one where it is none. */
export function textArg(args: CallArgs, name: string): string {
  const value = args[name];
  return typeof value === "string" ? value : "";
}
/** A member of an argument that is an object, as text: what a report need not show stands in those. */
export function textIn(args: CallArgs, name: string, member: string): string {
  const value = args[name];
  const inner: unknown =
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as { readonly [key: string]: Json })[member]
      : undefined;
  return typeof inner === "string" ? inner : "";
}
/** An argument of a step as a number; 0 where it is none. */
export function numberArg(args: CallArgs, name: string): number {
  const value = args[name];
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
