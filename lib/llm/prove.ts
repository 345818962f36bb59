/** Proving a stored model: its hash, its structure, and a note of which file that was. What is damaged is set aside. */
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import { keepForNextFetch, partOf } from "../machine/sources.ts";
import type { Call, Json } from "../unit.ts";
import { readGguf, type Gguf } from "./gguf.ts";
import { brokenGguf } from "./gguf_cursor.ts";
import type { ModelHead, Proof } from "./store.ts";

/**
 * The structure of a model's file, checked as the engine does it, and that it is a whole model.
 * @throws IntegrityError "gguf-damaged".
 */
export function checkModel(probe: Pick<Probe, "bytes" | "stat" | "real">, path: string): Gguf {
  const gguf = readGguf(probe, path);
  if (gguf.architecture === undefined) throw brokenGguf(path, "it names no architecture");
  if (gguf.tensors === 0) throw brokenGguf(path, "it holds no weights");
  if (gguf.parts > 1)
    throw brokenGguf(path, `it is one of ${gguf.parts} parts; a whole file is wanted`);
  return gguf;
}

/**
 * Proves models/sha256/<sha256> and notes it in runtime/verified. `hashed` true: its hash was proven a moment ago, by the fetch before this
 * step, so it is not read twice.
 * A file with another hash goes to runtime/quarantine, also if the run then fails: an undo must not put it back where it would be served.
 * @throws IntegrityError where the bytes are the wanted ones and still no sound model: fetching them again would not help.
 */
export const proveModel: Call = async ({ probe, act, say, signal }, args) => {
  const sha256 = word(args, "sha256");
  const name = word(args, "name");
  const path = inHome.store(probe.home, sha256);
  const entry = probe.stat(path);
  if (entry?.kind !== "file") {
    throw new ShelterError("model-absent", `proving ${path}`, "there is no such file", [
      "03_install_models",
    ]);
  }
  if (args["hashed"] !== true) {
    const label = `verifying ${name}`;
    const hash = await probe.sha256(
      path,
      (done) => say.progress(label, done, entry.size, "B"),
      signal,
    );
    if (hash !== sha256) {
      const place = join(inHome.quarantine(probe.home), hash);
      act.makeFolder(inHome.quarantine(probe.home));
      act.replaceWith(place, path);
      act.remove(inHome.verified(probe.home, sha256));
      say.line(`${name} is damaged: its file was moved to ${place}`);
      say.detail({ damaged: path, sha256: hash, wanted: sha256, quarantine: place });
      return;
    }
  }
  const { bytes, ...head } = headOf(checkModel(probe, path));
  const { mtime, inode } = entry;
  const at = new Date(probe.now()).toISOString();
  const proof: Proof = { schema: 1, sha256, bytes, mtime, inode, at, head };
  const note = inHome.verified(probe.home, sha256);
  act.makeFolder(join(note, ".."));
  act.write(note, `${JSON.stringify(proof)}\n`);
};

/** An argument that this unit's own plan put there as text. */
function word(args: { readonly [key: string]: Json }, key: string): string {
  const value = args[key];
  if (typeof value === "string") return value;
  throw new Error(`the step has no "${key}"`);
}

function headOf(gguf: Gguf): ModelHead & { readonly bytes: number } {
  const { bytes, architecture, quantisation, types, layers, context, embedding } = gguf;
  const { kvBytesPerToken, vocabulary, parameters, chatTemplate } = gguf;
  return {
    ...{ bytes, architecture, quantisation, types, layers, context, embedding },
    ...{ kvBytesPerToken, vocabulary, parameters, chatTemplate },
  };
}

/** Takes a model's file out of the store. It waits in runtime/work, where a fetch of it or an undo finds it, until that is pruned. */
export const setModelAside: Call = async ({ probe, act }, args) => {
  const sha256 = word(args, "sha256");
  const path = inHome.store(probe.home, sha256);
  if (probe.stat(path)?.kind !== "file") return;
  keepForNextFetch({ probe, act }, path, sha256);
};

/** The way back of `setModelAside`. */
export const bringModelBack: Call = async ({ probe, act }, args) => {
  const sha256 = word(args, "sha256");
  const path = inHome.store(probe.home, sha256);
  if (probe.stat(path)) return;
  const part = partOf(probe.home, sha256);
  if (probe.stat(part)?.kind !== "file") {
    const why = "its file is not in runtime/work any more";
    throw new ShelterError("model-gone", `bringing ${path} back`, why, ["03_install_models"]);
  }
  act.makeFolder(inHome.store(probe.home));
  act.replaceWith(path, part);
};
