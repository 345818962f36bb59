/**
 * The mirror between two booted hosts of the lab, against plain `rsync -a` over the same link with ssh as it comes: 10,000 small files and one of 1 GB. In
 * turn, so that both see the same machine. Ours verifies every file on both sides; plain rsync does not flush, ours does.
 */
import { ADDRESS, bootPairedHosts, HOME, said, type TwoHosts, USER } from "../lab/two_hosts.ts";
import { here, TIERS } from "../runner/tiers.ts";
import { median, type Measured } from "./figure.ts";
import { BIN } from "./ways.ts";

const FIRST = "mirror, first run against plain rsync -a";
const AGAIN = "mirror, run without changes against plain rsync -a";
/** Bytes of the large file. */
const LARGE = 1_000_000_000;

/** Measures both figures. */
export async function figures(quick: boolean): Promise<readonly Measured[]> {
  const lacks = TIERS.find((tier) => tier.name === "lab")?.lacks(here) ?? [];
  if (lacks.length > 0) {
    const leftOut = `this machine has no ${lacks.map((one) => one.what).join(", ")}`;
    return [FIRST, AGAIN].map((name) => ({ name, leftOut }));
  }
  const lab = await bootPairedHosts(BIN);
  try {
    return await measure(lab, quick ? 3 : 5);
  } finally {
    await lab.stop();
  }
}

async function measure(lab: TwoHosts, rounds: number): Promise<readonly Measured[]> {
  await said(lab.phantom, ["bash", "-c", FILES], USER);
  const time = async (command: string) => {
    const timed = `cd ${HOME}; s=$(date +%s%N); ${command} >/dev/null 2>&1 || exit 1; e=$(date +%s%N); echo $(( (e - s) / 1000 ))`;
    return Number(await said(lab.phantom, ["bash", "-c", timed], USER)) / 1000;
  };
  const plain = `rsync -a --relative -e "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new" logs/memory models ${USER}@${ADDRESS.shadow}:plain/`;
  const ours = `bin/05_rsync_mirror --json`;
  const first = { plain: [] as number[], ours: [] as number[] };
  const again = { plain: [] as number[], ours: [] as number[] };
  const ways = [
    { command: plain, traces: PLAIN, first: first.plain, again: again.plain },
    { command: ours, traces: OURS, first: first.ours, again: again.ours },
  ];
  for (let round = 0; round < rounds; round++) {
    // who comes first changes, and each has its own last copy removed just before: to write into memory that was freed a moment ago is far quicker on a
    // virtual machine than into memory that must be had anew
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      await forget(lab, way.traces);
      way.first.push(await time(way.command));
    }
    await settle(lab);
    for (let turn = 0; turn < 3; turn++) {
      for (const way of ways) way.again.push(await time(way.command));
    }
  }
  const how = (times: { readonly plain: readonly number[] }) =>
    `two hosts on this machine, verification on; plain takes ${Math.round(median(times.plain))} ms`;
  const ratios = (times: typeof first) =>
    times.ours.map((ms, at) => ms / (times.plain[at] ?? Number.NaN));
  return [
    { name: FIRST, unit: "x", goal: { atMost: 1.2 }, values: ratios(first), how: how(first) },
    { name: AGAIN, unit: "x", goal: { atMost: 1.5 }, values: ratios(again), how: how(again) },
  ];
}

/** Logs and one model, of bytes that don't compress to nothing. */
const FILES = `set -e
cd ${HOME}; mkdir -p -m 700 models/sha256 logs/memory/phantom/00_check_structure
for i in $(seq 0 99); do
  d=logs/memory/phantom/00_check_structure/$i; mkdir -p $d
  for j in $(seq 0 99); do head -c $((1000 + j * 20)) /dev/urandom | base64 -w0 >$d/$j.log; done
done
head -c ${LARGE} /dev/urandom >models/sha256/new
h=$(sha256sum models/sha256/new | cut -d' ' -f1)
mv models/sha256/new models/sha256/$h; ln -s sha256/$h models/large.gguf`;

/** What a way leaves on each host, below the home. */
interface Traces {
  readonly phantom: string;
  readonly shadow: string;
}
const PLAIN: Traces = { phantom: "", shadow: "../plain" };
const OURS: Traces = {
  phantom: "runtime/mirror runtime/work/mirror",
  shadow: "models runtime/mirror runtime/work logs/*/phantom status/phantom",
};

/** Nothing was ever sent by this way. */
async function forget(lab: TwoHosts, traces: Traces): Promise<void> {
  for (const host of ["shadow", "phantom"] as const) {
    await said(lab[host], ["sh", "-c", `cd ${HOME}; rm -rf ${traces[host]}`], USER);
  }
  await settle(lab);
}

/** What was written before must not be paid for by who comes next. */
async function settle({ phantom }: TwoHosts): Promise<void> {
  await said(phantom, ["sync"]);
}
