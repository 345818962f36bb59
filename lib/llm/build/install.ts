/** Call "build engine": from source to a generation of its own, which is whole or not there. */
import { join } from "node:path";
import { ShelterError } from "../../errors.ts";
import { inHome } from "../../keep/home.ts";
import type { Call, CallContext } from "../../unit.ts";
import { asDocument, type Backend, infoPath } from "../builds.ts";
import { buildTree, compile } from "./compile.ts";
import { ENGINE_SOURCE, PROGRAMS } from "./pins.ts";
import { unpackSource } from "./source.ts";
import type { Workaround } from "./workaround.ts";
import { textOf } from "./words.ts";

/** Arguments of the call, as the plan gives them. */
export interface BuildArguments {
  readonly id: string;
  readonly backends: readonly Backend[];
  readonly flags: readonly string[];
  readonly workarounds: readonly Workaround[];
  readonly inputs: { readonly [name: string]: string };
  readonly asked: { readonly with: readonly string[]; readonly without: readonly string[] };
  readonly generator: "Ninja" | "Unix Makefiles";
  readonly jobs: number;
  /** Path of ccache, or null. */
  readonly ccache: string | null;
}

/** Builds and installs runtime/llama.cpp/<id>. */
export const buildEngine: Call = async (context, args) => {
  const what = args as unknown as BuildArguments;
  const { probe, say } = context;
  const started = probe.now();
  const clock = performance.now();
  const source = await unpackSource(context);
  const { bin, earlier } = await compile(context, source, {
    ...what,
    ...(what.ccache === null ? { ccache: undefined } : { ccache: what.ccache }),
  });
  await install(context, bin, what, started, clock - earlier);
  say.line(`Built ${what.id} (${what.backends.join(", ")})`);
};

async function install(
  context: CallContext,
  bin: string,
  what: BuildArguments,
  started: number,
  clock: number,
): Promise<void> {
  const { probe, act, signal } = context;
  const stage = join(buildTree(probe.home, what.id), "generation");
  act.remove(stage);
  act.makeFolder(join(stage, "bin"), 0o755);
  act.chmod(stage, 0o755);
  const files: Record<string, { sha256: string; bytes: number }> = {};
  for (const name of PROGRAMS) {
    const from = join(bin, name);
    const path = join(stage, "bin", name);
    if (!probe.stat(from)) {
      throw new ShelterError("build-failed", "installing what was built", `${name} was not made`);
    }
    act.copy(from, path);
    act.chmod(path, 0o755);
    const sha256 = await probe.sha256(path, undefined, signal);
    files[`bin/${name}`] = { sha256, bytes: probe.stat(path)?.size ?? 0 };
  }
  const { tag, commit, tree } = ENGINE_SOURCE;
  const { id, backends, flags, inputs, asked, generator, jobs } = what;
  const info = {
    ...{ schema: 1, id, tag, commit, tree, backends, flags, inputs, asked, generator, jobs },
    ccache: what.ccache !== null,
    started: new Date(started).toISOString(),
    took_ms: Math.round(performance.now() - clock),
    files,
  };
  act.write(infoPath(stage), asDocument(info), 0o644);
  signal.throwIfAborted();
  act.rename(stage, inHome.engines(probe.home, id));
}

/** Call "discard engine": takes a generation away that "build engine" made. What was compiled stays in runtime/work. */
export const discardEngine: Call = async ({ probe, act }, args) => {
  act.remove(inHome.engines(probe.home, textOf(args, "id")));
  return Promise.resolve();
};
