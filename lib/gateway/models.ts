/** The list of models, as clients know them. */
import type { Kitchen } from "./answer.ts";
import type { Fields } from "./piece.ts";

/** OpenAI's list of models: those of the document, each with the engines that could answer now; else what the engines said of themselves. */
export function listModels({ pool, models }: Kitchen): Fields {
  const up = (name: string) => pool.engines.some((one) => one.name === name && one.up);
  const named = models.map((model) => ({
    id: model.name,
    object: "model",
    created: 0,
    owned_by: "shelter",
    shelter: { engines: Object.keys(model.on), up: Object.keys(model.on).filter(up) },
  }));
  const seen = new Set<string>();
  const told = pool.engines.flatMap((engine) =>
    engine.models
      .filter((id) => !seen.has(id) && seen.add(id))
      .map((id) => ({
        id,
        object: "model",
        created: 0,
        owned_by: "shelter",
        shelter: {
          engines: pool.engines.filter((one) => one.models.includes(id)).map((one) => one.name),
          up: pool.engines
            .filter((one) => one.up && one.models.includes(id))
            .map((one) => one.name),
        },
      })),
  );
  return { object: "list", data: models.length > 0 ? named : told };
}
