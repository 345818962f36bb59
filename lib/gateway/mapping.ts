/** Names of models: what a client calls one, what each engine calls it, and whether two engines serve the same file. */
import type { ModelConfig } from "./config.ts";
import { Refusal } from "./errors.ts";

/** A model at one engine. */
export interface There {
  /** The engine's own name for it; undefined lets the engine choose. */
  readonly name: string | undefined;
  readonly sha256?: string;
}

/** A model as asked for. */
export interface Wanted {
  /** As clients know it; undefined where neither they nor the document name one. */
  readonly name: string | undefined;
  /** What it is at an engine; undefined where that engine does not serve it. */
  at(engine: string): There | undefined;
}

/** The model of that name; the first of the document where none was named. @throws Refusal 404 "model_not_found" */
export function wantedModel(models: readonly ModelConfig[], name: string | undefined): Wanted {
  if (models.length === 0) return { name, at: () => ({ name }) };
  const model = name === undefined ? models[0] : models.find((one) => one.name === name);
  if (!model) {
    throw new Refusal(
      404,
      "model_not_found",
      `no model of that name; there is: ${models.map((one) => one.name).join(", ")}`,
    );
  }
  const on = new Map(Object.entries(model.on));
  return { name: model.name, at: (engine) => on.get(engine) };
}

/** What an engine calls the first model of the document that it serves: the one to ask it for as a proof. Undefined where the document names none. */
export function firstModelOn(models: readonly ModelConfig[], engine: string): string | undefined {
  return models.flatMap(({ on }) => new Map(Object.entries(on)).get(engine)?.name ?? []).at(0);
}

/** Whether two engines serve the same model: by the file's digest where both say it, else by their name for it. */
export function sameModel(wanted: Wanted, one: string, other: string): boolean {
  const [a, b] = [wanted.at(one), wanted.at(other)];
  if (!a || !b) return false;
  if (a.sha256 !== undefined && b.sha256 !== undefined) return a.sha256 === b.sha256;
  return one === other || (a.name === b.name && a.sha256 === b.sha256);
}
