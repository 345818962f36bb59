/** Tables of models for the terminal. Pure. */
import { bytes, printable, table } from "../report/text.ts";
import type { Args } from "../unit.ts";
import { USUAL_SERVING } from "./fit.ts";
import { arithmetic, shortened } from "./fit_advice.ts";
import { fileOf, fitOf, installed, wanted } from "./install.ts";
import type { Described, ModelsFacts } from "./install_facts.ts";

/** What the report shows above the findings: the catalogue with --list, an entry with --describe, else what is installed and the arithmetic. */
export function pictureOfModels(facts: ModelsFacts, want: Args): readonly string[] {
  if (facts.described) return facts.described.entry ? entryText(facts.described.entry) : [];
  if (want["list"] === true) return listing(facts);
  const here = installed(facts);
  const rows = here.map(({ name, sha256, bytes: size, head, verifiedAt }) => [
    printable(name),
    bytes(size),
    printable(head.quantisation ?? "?"),
    facts.reread.some((one) => one.sha256 === sha256 && one.damage === undefined)
      ? "hash and structure hold"
      : `proven ${verifiedAt.slice(0, 16)}Z`,
  ]);
  const { entries } = wanted(facts, want);
  const sums = entries.flatMap((entry) => {
    const serving = shortened(entry, USUAL_SERVING);
    const title = `${printable(entry.name)}, ${serving.context} tokens`;
    const sum = table(arithmetic(entry, fitOf(facts, entry))).map((line) => `  ${line}`);
    return [title, ...sum];
  });
  return [...table(rows), ...sums];
}

function listing(facts: ModelsFacts): readonly string[] {
  const rows = [...facts.catalogue.entries]
    .sort((a, b) => b.rank - a.rank)
    .map((entry) => {
      const found = fitOf(facts, entry);
      const there = facts.names.some(
        (one) => one.name === entry.name && fileOf(facts, entry.sha256)?.proof,
      );
      const { where, gpuLayers } = found;
      const placing = {
        gpu: "fits the GPU",
        split: `${gpuLayers} of ${entry.layers + 1} layers on the GPU`,
        cpu: "fits in RAM",
        none: `does not fit: ${bytes(found.ram)} of ${bytes(facts.room.ram)}`,
      }[where];
      return [
        there ? "●" : "○",
        printable(entry.name),
        bytes(entry.bytes),
        printable(entry.quantisation),
        `${entry.context} tokens`,
        printable(entry.licence),
        entry.roles.join(" "),
        placing,
      ];
    });
  return table(rows);
}

/** A catalogue entry as YAML, for models/local.yaml. Texts are written as JSON, which YAML reads. */
function entryText(entry: NonNullable<Described["entry"]>): readonly string[] {
  const source = entry.sources[0];
  const path = source && "path" in source ? source.path : "";
  return [
    "models:",
    `  ${JSON.stringify(entry.name)}:`,
    `    title: ${JSON.stringify(printable(entry.title))}`,
    `    file: ${JSON.stringify(entry.file)}`,
    `    bytes: ${entry.bytes}`,
    `    sha256: ${JSON.stringify(entry.sha256)}`,
    `    licence: ${JSON.stringify(printable(entry.licence))}`,
    `    quantisation: ${JSON.stringify(entry.quantisation)}`,
    `    context: ${entry.context}`,
    `    layers: ${entry.layers}`,
    `    kv_bytes: ${entry.kvBytesPerToken}`,
    `    vocabulary: ${entry.vocabulary}`,
    `    embedding: ${entry.embedding}`,
    "    roles: [chat]",
    `    sources: [{ path: ${JSON.stringify(path)} }]`,
  ];
}
