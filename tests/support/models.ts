/** Catalogues of tiny models for tests. */
import { sha256 } from "../../lib/machine/hash.ts";
import type { Source } from "../../lib/unit.ts";

/** A model of a test: its bytes, and where they can be had. `claims` stands in the catalogue where it should lie. */
export interface TestModel {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly sources: readonly Source[];
  readonly claims?: {
    readonly bytes?: number;
    readonly sha256?: string;
    readonly [key: string]: unknown;
  };
}

/** The text of a models/local.yaml with these models. JSON is YAML. */
export function catalogueText(models: readonly TestModel[], chosen?: string): string {
  const entries = models.map(({ name, bytes, sources, claims }) => [
    name,
    {
      title: `Tiny ${name}`,
      bytes: bytes.length,
      sha256: sha256(bytes),
      quantisation: "Q4_0",
      context: 128,
      layers: 2,
      kv_bytes: 128,
      vocabulary: 4,
      embedding: 32,
      roles: ["chat", "small"],
      sources,
      ...claims,
    },
  ]);
  const models_ = Object.fromEntries(entries) as Record<string, unknown>;
  return JSON.stringify(
    { schema: 1, ...(chosen ? { default: chosen } : {}), models: models_ },
    null,
    1,
  );
}
