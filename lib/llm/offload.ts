/** Where a model's weights went, by the engine's own log. */

/** Bytes of weights per buffer, e.g. {CPU_Mapped: …, CUDA0: …}. */
export type WeightBuffers = ReadonlyMap<string, number>;

/**
 * Reads "load_tensors: CUDA0 model buffer size = 1234.56 MiB" from llama-server's log (v0.5.0, verbosity 4). The line "offloaded 31/31 layers to
 * GPU" is no proof: a build without any GPU back-end prints it too (measured), so the buffers decide.
 */
export function weightBuffers(log: string): WeightBuffers {
  const found = new Map<string, number>();
  for (const [, name = "", size = ""] of log.matchAll(
    /load_tensors:\s+(\S+) model buffer size\s*=\s*([\d.]+) MiB/g,
  )) {
    found.set(name, (found.get(name) ?? 0) + Number(size) * 1024 * 1024);
  }
  return found;
}

/** Buffers of the CPU: plain, mapped, repacked, AMX, and those of a GPU's host side. */
const OF_CPU = /^(CPU|AMX|.*_Host$|.*_REPACK$)/i;

/** Buffers with weights that are on a device of its own. */
export function deviceBuffers(buffers: WeightBuffers): readonly string[] {
  return [...buffers]
    .filter(([name, size]) => size > 0 && !OF_CPU.test(name))
    .map(([name]) => name);
}

/** Layers that the engine says it offloaded; meaningful only where `deviceBuffers` names a device. */
export function offloadedLayers(log: string): number | undefined {
  const layers = /offloaded (\d+)\/\d+ layers to GPU/.exec(log)?.[1];
  return layers === undefined ? undefined : Number(layers);
}
