/** Engines that stand ready side by side, as many as memory holds, so that two profiles can be timed in turns. */
import { parseMeminfo } from "../../facts/memory.ts";
import type { CallContext } from "../../unit.ts";
import { startServer, type Server } from "../server.ts";
import type { Profile, ServedModel, ServingBuild } from "../settings.ts";

/** Engines by profile. */
export interface Engines {
  /** The engine of a profile, started where it does not run; the one that was not used for longest is stopped for it. */
  of(profile: Profile): Promise<Server>;
  stopAll(): Promise<void>;
}

/** Bytes that an engine takes beside the weights that all of them share by mapping the file: cache, work space, repacked weights. */
const OWN_SHARE = 1.1;
const RESERVE = 512 * 2 ** 20;

/** Two engines where both fit into what is free and none uses a GPU; one otherwise. */
export function openEngines(
  context: CallContext,
  build: ServingBuild,
  model: ServedModel,
): Engines {
  const free = parseMeminfo(context.probe.text("/proc/meminfo") ?? "")?.available ?? 0;
  const roomy = free > 2 * OWN_SHARE * model.bytes + RESERVE;
  const running = new Map<string, { readonly server: Server; readonly onGpu: boolean }>();
  const stop = async (key: string) => {
    const engine = running.get(key);
    running.delete(key);
    await engine?.server.stop();
  };
  return {
    of: async (profile) => {
      const key = JSON.stringify(profile);
      const there = running.get(key);
      if (there) {
        running.delete(key); // put last: it was used just now
        running.set(key, there);
        return there.server;
      }
      const onGpu = profile.gpuLayers !== 0;
      const alone = !roomy || onGpu || [...running.values()].some((one) => one.onGpu);
      while (running.size >= (alone ? 1 : 2)) {
        const [oldest] = running.keys();
        if (oldest === undefined) break;
        await stop(oldest);
      }
      const server = await startServer(context, { build, model, profile });
      running.set(key, { server, onGpu });
      return server;
    },
    stopAll: async () => {
      for (const key of [...running.keys()]) await stop(key);
    },
  };
}
