/** The laws on 03_install_models, over worlds with other catalogues, stores, sources and wishes. (--recheck orders work to be done again, so it never empties a plan: tests/llm/install.test.ts.) */
import * as fc from "fast-check";
import { sha256 } from "../../lib/machine/hash.ts";
import { unit } from "../../scripts/03_install_models.ts";
import { FAKE_HOME, type FakeFile } from "../support/fake_machine.ts";
import { ggufFile, tinyModel } from "../support/gguf_writer.ts";
import { lawsOf, type LawWorld } from "../support/laws.ts";
import { catalogueText, type TestModel } from "../support/models.ts";

const meminfo = "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB\n";
const at = (path: string) => `${FAKE_HOME}/${path}`;

/** What of one model is there already. */
const before = fc.constantFrom("nothing", "part", "file", "file and name", "name of another");
const source = fc.constantFrom("url", "path", "second source");
const models = fc.uniqueArray(
  fc.record({ salt: fc.integer({ min: 0, max: 9 }), before, source, asked: fc.boolean() }),
  { minLength: 1, maxLength: 3, selector: (one) => one.salt },
);

const worlds = fc
  .record({
    models,
    scaffolded: fc.boolean(),
    by: fc.constantFrom("flag", "cfg"),
  })
  .map(({ models: made, scaffolded, by }): LawWorld => {
    const files: Record<string, FakeFile> = { "/proc/meminfo": meminfo };
    const served = new Map<string, Uint8Array>();
    const entries: TestModel[] = [];
    for (const { salt, before: state, source: from } of made) {
      const name = `m${salt}`;
      const bytes = ggufFile(tinyModel(name));
      const hash = sha256(bytes);
      const url = `https://models.test/${name}.gguf`;
      const path = `/data/${name}.gguf`;
      const sources = {
        url: [{ url }],
        path: [{ path }],
        "second source": [{ url: "https://models.test/absent" }, { path }],
      }[from];
      entries.push({ name, bytes, sources });
      served.set(url, bytes);
      files[path] = { bytes };
      if (state === "part") {
        files[at(`runtime/work/fetch/${hash}/part`)] = { bytes: bytes.subarray(0, 100) };
      }
      if (state.startsWith("file")) files[at(`models/sha256/${hash}`)] = { bytes, mode: 0o600 };
      if (state === "file and name") files[at(`models/${name}.gguf`)] = { link: `sha256/${hash}` };
      if (state === "name of another") {
        const other = ggufFile(tinyModel(`older ${name}`));
        files[at(`models/sha256/${sha256(other)}`)] = { bytes: other };
        files[at(`models/${name}.gguf`)] = { link: `sha256/${sha256(other)}` };
      }
    }
    const asked = made.filter((one) => one.asked).map((one) => `m${one.salt}`);
    const names = asked.length > 0 ? asked : [`m${made[0]?.salt}`];
    if (scaffolded) files[at("runtime/verified")] = { folder: true, mode: 0o700 };
    if (by === "cfg") files[at("shared.cfg")] = `models: [${names.join(", ")}]\n`;
    files[at("models/local.yaml")] = catalogueText(entries);
    return {
      machine: {
        files,
        fetch: (url, init) => {
          const bytes = served.get(url);
          if (!bytes) return Promise.resolve(new Response("", { status: 404 }));
          const from = Number(
            /bytes=(\d+)-/.exec(new Headers(init?.headers).get("range") ?? "")?.[1] ?? 0,
          );
          const headers = {
            "content-length": String(bytes.length - from),
            ...(from > 0
              ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` }
              : {}),
          };
          return Promise.resolve(
            new Response(Uint8Array.from(bytes.subarray(from)), {
              status: from > 0 ? 206 : 200,
              headers,
            }),
          );
        },
      },
      want: by === "flag" ? { models: names.join(",") } : {},
    };
  });

lawsOf(unit, worlds, {
  runs: 12,
  timeout: 120_000,
  mayDrop: (step) =>
    step.do === "call" && step.args["hashed"] === true
      ? "the next round proves the file by reading it again: dropping it costs time alone"
      : undefined,
});

const removals = fc.record({ both: fc.boolean() }).map(({ both }): LawWorld => {
  const bytes = ggufFile(tinyModel("gone"));
  const hash = sha256(bytes);
  return {
    machine: {
      files: {
        "/proc/meminfo": meminfo,
        [at(`models/sha256/${hash}`)]: { bytes, mode: 0o600 },
        [at("models/gone.gguf")]: { link: `sha256/${hash}` },
        ...(both ? { [at("models/stays.gguf")]: { link: `sha256/${hash}` } } : {}),
      },
    },
    want: { remove: "gone" },
  };
});

lawsOf(unit, removals, { runs: 4 });
