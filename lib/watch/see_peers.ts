/** The eyes for paired hosts: their gateway over mutual TLS every few seconds, their own word over the witness key once a minute. */
import { parseGatewayConfig } from "../gateway/config.ts";
import { inHome } from "../keep/home.ts";
import type { Act } from "../machine/act.ts";
import { certificateTrouble, createDial } from "../machine/dial.ts";
import type { Probe } from "../machine/probe.ts";
import { askHost } from "../peer/ask.ts";
import type { Word } from "../peer/word.ts";
import { soundTrust } from "../trust/store.ts";
import type { Failure, HostName } from "../unit.ts";
import { Gauge } from "./gauge.ts";
import type { PeerLook } from "./look.ts";
import type { WatchState } from "./state.ts";

const SECOND = 1000;
/** Longest wait for a gateway's answer, in milliseconds. */
const DIAL = 4 * SECOND;
/** Pauses between two questions of each kind, in milliseconds. */
const EVERY = { gateway: 10 * SECOND, witness: 60 * SECOND, hurried: 15 * SECOND } as const;
/** Failures that only a host can give which lives and is the paired one. */
const LIVES: ReadonlySet<string> = new Set([
  "key-missing",
  "key-refused",
  "peer-other-release",
  "peer-refused",
  "peer-without-binaries",
]);
/** Age of a watcher's word from which the next is asked for sooner: one that lives writes every ten seconds. */
const OLD_WORD = 30 * SECOND;

/** What one question gave. `at` on the kernel's uptime, milliseconds. */
interface Answer {
  readonly ok: boolean;
  readonly at: number;
  readonly why?: string;
}
interface WitnessAnswer extends Answer {
  readonly heard?: Heard;
  /** It lives, but something is wrong with it. */
  readonly trouble?: Failure;
}
/** What it said, and when by its own clock. */
interface Heard {
  readonly at: number;
  readonly watch: WatchState | null;
  /** Its clock less ours, in milliseconds. */
  readonly clockOff: number;
}

/** Looks at every paired host. `uptime` reads the kernel's clock; `onWord` is told of each word that was heard. */
export function peerEyes(
  probe: Probe,
  act: Act,
  uptime: () => number,
  onWord: (word: Word) => void,
): (now: number) => readonly PeerLook[] {
  const names = new Gauge(() => namesOf(probe), 30 * SECOND);
  const known = new Map<HostName, PeerEyes>();
  return (now) => {
    const listed = names.at(now) ?? [];
    for (const name of known.keys()) if (!listed.includes(name)) known.delete(name);
    return listed.map((name) => {
      const eyes = known.get(name) ?? new PeerEyes(probe, act, uptime, onWord, name);
      known.set(name, eyes);
      return eyes.look(now);
    });
  };
}

class PeerEyes {
  readonly #gateway = new Gauge(() => this.#dial(), EVERY.gateway);
  readonly #witness = new Gauge(() => this.#ask(), EVERY.witness);
  #heard: Heard | undefined;

  constructor(
    private readonly probe: Probe,
    private readonly act: Act,
    private readonly uptime: () => number,
    private readonly onWord: (word: Word) => void,
    private readonly name: HostName,
  ) {}

  look(now: number): PeerLook {
    const gateway = this.#gateway.at(now);
    // a gateway that is silent may be alone in that: the host itself is asked sooner
    if (gateway?.ok === false) this.#witness.hurry(now, EVERY.hurried);
    const word = this.#witness.at(now);
    if (word?.heard) this.#heard = word.heard;
    const answers = answersOf(gateway, word);
    const why = gateway?.ok === false ? gateway.why : word?.why;
    const { watch, at, clockOff } = this.#heard ?? {};
    const age = watch && at !== undefined ? Math.max(0, at - Date.parse(watch.at)) : undefined;
    if (age !== undefined && age > OLD_WORD) this.#witness.hurry(now, EVERY.hurried);
    return {
      name: this.name,
      ...(answers === undefined ? {} : { answers }),
      ...(why === undefined ? {} : { why }),
      ...(gateway?.why === undefined ? {} : { gatewayFails: gateway.why }),
      ...(word?.trouble === undefined ? {} : { trouble: word.trouble }),
      ...(watch ? { heard: watch } : {}),
      ...(clockOff === undefined ? {} : { clockOff }),
      ...(age === undefined ? {} : { watcherAge: age }),
    };
  }

  /** Undefined where this host's gateway is not set up to ask that peer. */
  async #dial(): Promise<Answer | undefined> {
    const found = this.#gatewayOf();
    if (!found) return undefined;
    const { url, pairing } = found;
    const given = AbortSignal.timeout(DIAL);
    try {
      const response = await createDial(pairing)(`${url}/shelter/health`, {
        method: "GET",
        headers: {},
        signal: given,
      });
      await response.body?.cancel();
      return { ok: true, at: this.uptime() };
    } catch (error) {
      const why = given.aborted
        ? "its gateway is silent"
        : (certificateTrouble(error) ?? "its gateway is unreachable");
      return { ok: false, at: this.uptime(), why };
    }
  }

  #gatewayOf() {
    const path = inHome.gateway(this.probe.home);
    const text = this.probe.text(path);
    if (text === undefined) return undefined;
    const { engines, pairing } = parseGatewayConfig(text, path);
    const engine = engines.find((one) => one.kind === "peer" && one.name === this.name);
    if (!engine?.fingerprint || !pairing) return undefined;
    const [cert, key, ca] = [pairing.cert, pairing.key, pairing.ca].map((file) =>
      this.probe.text(file),
    );
    if (cert === undefined || key === undefined || ca === undefined) return undefined;
    return { url: engine.url, pairing: { cert, key, ca, fingerprint: engine.fingerprint } };
  }

  async #ask(): Promise<WitnessAnswer | undefined> {
    const trust = soundTrust(this.probe, this.name);
    if (!trust) return undefined;
    const asked = await askHost(this.probe, this.act, trust);
    const at = this.uptime();
    if (asked.answered) {
      const { word, clockOff } = asked;
      this.onWord(word);
      return { ok: true, at, heard: { at: Date.parse(word.at), watch: word.watch, clockOff } };
    }
    const { failure } = asked;
    if (failure.id === "peer-unreachable") return { ok: false, at, why: "unreachable" };
    return { ok: LIVES.has(failure.id), at, why: failure.why, trouble: failure };
  }
}

/** It answers where the newest good answer is newer than the last bad one of the same kind; undefined while nothing is known. */
function answersOf(gateway: Answer | undefined, word: Answer | undefined): boolean | undefined {
  const known = [gateway, word].filter((one) => one !== undefined);
  if (known.length === 0) return undefined;
  if (gateway?.ok === true) return true;
  if (word?.ok !== true) return false;
  // ssh answered, but since then the gateway fell silent: believed until it is asked again
  return gateway === undefined || gateway.at - word.at < 2 * EVERY.hurried;
}

function namesOf(probe: Probe): readonly HostName[] {
  return probe
    .list(inHome.trust(probe.home))
    .filter((name) => name.endsWith(".json"))
    .map((name) => name.slice(0, -".json".length));
}
