/** Reading the JUnit report that `bun test` writes. */

/** One test of a report. */
export interface Case {
  readonly file: string;
  /** With the names of the groups around it. */
  readonly name: string;
  readonly state: "passed" | "failed" | "skipped";
  /** Why it was left out, from its name: "… (left out: why)". */
  readonly reason?: string;
}

/** Every test of a report. */
export function parseReport(xml: string): readonly Case[] {
  return [...xml.matchAll(/<testcase\s([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map((found) => {
    const [, attributes = "", body = ""] = found;
    const group = attribute(attributes, "classname");
    const plain = attribute(attributes, "name");
    const reason = /\(left out: (.+)\)$/s.exec(plain)?.[1];
    return {
      file: attribute(attributes, "file"),
      name: group === "" ? plain : `${group} > ${plain}`,
      state: /<(failure|error)[\s/>]/.test(body)
        ? "failed"
        : /<skipped[\s/>]/.test(body)
          ? "skipped"
          : "passed",
      ...(reason === undefined ? {} : { reason }),
    };
  });
}

function attribute(text: string, name: string): string {
  const value = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(text)?.[1] ?? "";
  return value.replace(/&(#x?[0-9a-f]+|\w+);/gi, (whole, entity: string) => {
    if (entity.startsWith("#")) {
      const number = /^#x/i.test(entity)
        ? Number.parseInt(entity.slice(2), 16)
        : Number(entity.slice(1));
      return String.fromCodePoint(number);
    }
    return ENTITIES[entity] ?? whole;
  });
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};
