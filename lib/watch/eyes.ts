/** The watcher's eyes: everything that a look is made of, each part at its own pace. Reads only. */
import { isDone, readStatus } from "../keep/status.ts";
import type { Act } from "../machine/act.ts";
import type { Uptime } from "../machine/clock.ts";
import type { Probe } from "../machine/probe.ts";
import { MIRROR_FLAG } from "../mirror/places.ts";
import type { Word } from "../peer/word.ts";
import { WATCHER } from "../services/kind.ts";
import { readLive } from "../services/live.ts";
import { ENGINE_UNIT, GIVEN_UP, releaseProgram, SYSTEMD, WATCH_UNIT } from "../services/places.ts";
import { buildsOfUnit } from "../services/root_acts.ts";
import { uselessCures } from "./cures.ts";
import { Gauge } from "./gauge.ts";
import type { Look, Moment } from "./look.ts";
import { hostEyes } from "./see_host.ts";
import { peerEyes } from "./see_peers.ts";
import { serviceEyes } from "./see_services.ts";

/** What of a look is seen; the rest the watcher knows itself. */
export type Seen = Pick<
  Look,
  "moment" | "services" | "peers" | "host" | "mirror" | "canGoBack" | "gaveUp" | "useless"
>;

/** Age at which a mirror is too old, in milliseconds: its timer runs several times an hour, and a laptop may be away for an evening. */
const MIRROR_DUE = 6 * 3_600_000;

/** Eyes for one host. `uptime` reads the kernel's clocks; `onWord` is told of each word of another host. */
export function createEyes(
  probe: Probe,
  act: Act,
  uptime: () => Uptime,
  onWord: (word: Word) => void,
): () => Promise<Seen> {
  const services = serviceEyes(probe);
  const peers = peerEyes(probe, act, () => uptime().uptime, onWord);
  const host = hostEyes(probe);
  const mirror = new Gauge(() => mirrorOf(probe), 30_000);
  const ways = new Gauge(() => ({ ...generations(probe), useless: uselessCures(probe) }), 30_000);
  const boot = probe.text("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
  return async () => {
    const seen = await services(uptime().uptime);
    // after what takes time, so that the moment is the one in which it is judged
    const moment: Moment = { now: probe.now(), boot, ...uptime() };
    return {
      moment,
      services: seen,
      peers: peers(moment.uptime),
      host: host(moment.uptime),
      mirror: mirror.at(moment.uptime) ?? {},
      ...(ways.at(moment.uptime) ?? { canGoBack: [], useless: [] }),
    };
  };
}

/** The last mirror run, where that ended well; its due age where this host mirrors at all. */
function mirrorOf(probe: Probe): Look["mirror"] {
  const status = readStatus(probe, MIRROR_FLAG);
  if (status === undefined || "damaged" in status) return {};
  return { due: MIRROR_DUE, ...(isDone(status) ? { at: Date.parse(status.at) } : {}) };
}

/** What could be gone back to, and what was gone back from. Root looks at each more closely before it does so. */
export function generations(probe: Probe): Pick<Look, "canGoBack" | "gaveUp"> {
  const { build, before } = buildsOfUnit(probe.text(`${SYSTEMD}/${ENGINE_UNIT}`) ?? "");
  const engine = before !== undefined && probe.text(GIVEN_UP)?.trim() !== build;
  const live = readLive(probe);
  const { installed, serving } = live;
  const gateway =
    live.before !== undefined &&
    ![installed, serving].includes(live.before) &&
    probe.stat(releaseProgram(live.before))?.kind === "file";
  const gone = installed !== undefined && serving !== undefined && serving !== installed;
  return {
    canGoBack: [
      ...(engine ? (["engine"] as const) : []),
      ...(gateway ? (["gateway"] as const) : []),
    ],
    ...(gone ? { gaveUp: { release: installed, serving, fix: takeUp(probe) } } : {}),
  };
}

/** The script that installed the services is the one that its watcher's unit runs. */
function takeUp(probe: Probe): readonly string[] {
  const text = probe.text(`${SYSTEMD}/${WATCH_UNIT}`) ?? "";
  const script = Object.values(WATCHER).find((one) => text.includes(`/shelter ${one} run\n`));
  return ["sudo", `./bin/${script ?? WATCHER.phantom}`];
}
