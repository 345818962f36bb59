/** `shelter pair <host>`: one guided exchange after which each host can reach the other for what it must, and for nothing else. */
import { print } from "../cli/output.ts";
import { askYesNo } from "../cli/prompt.ts";
import { onSignals } from "../cli/signals.ts";
import { layout, printReport, runHere } from "../cli.ts";
import { EXIT, ShelterError, UsageError } from "../errors.ts";
import { readConfig } from "../hosts/config.ts";
import { HOST_NAME } from "../hosts/name.ts";
import type { Probe } from "../machine/probe.ts";
import { part } from "../peer/part.ts";
import { printable } from "../report/text.ts";
import { createVoice } from "../report/voice.ts";
import { fingerprint } from "../trust/signature.ts";
import { soundTrust } from "../trust/store.ts";
import { type FirstContact, pairUnit } from "../trust/unit.ts";
import { asJson, textOf, type Command, type Desk, type Spoken } from "./desk.ts";

export const pair: Command = async (desk) => {
  const { probe, want, machine, place } = desk;
  const peer = textOf(want, "peer") ?? "";
  if (!HOST_NAME.test(peer)) {
    throw new UsageError(
      "usage",
      `pair ${printable(peer)}`,
      "it takes a host's name as in shared.cfg",
      ["./bin/shelter", "pair", "--help"],
    );
  }
  if (probe.me.root && probe.owner.uid !== 0) {
    throw new ShelterError(
      "not-as-root",
      `pairing with ${peer}`,
      "the keys belong to the home's owner, and so does the login",
      ["./bin/shelter", "pair", peer],
    );
  }
  if (want["undo"] === true) return unpair(desk, peer);
  if (want["forget"] === true) {
    throw new UsageError("usage", `pair ${peer} --forget`, "it goes with --undo", [
      ...["./bin/shelter", "pair", peer, "--undo"],
    ]);
  }
  const anew = want["anew"] === true || want["renew"] === true;
  const known = soundTrust(probe, peer);
  const since = anew ? new Date(machine.now()).toISOString() : "";
  // a renewal goes to the host whose key is pinned, unless the person says where else to look
  const told = ["accept", "address", "port", "user", "there"].some(
    (one) => want[one] !== undefined,
  );
  const again = known && (!anew || (want["anew"] !== true && !told));
  const first = again ? known : await firstContact(desk, peer);
  const report = await runHere(
    pairUnit(peer, first),
    machine,
    place,
    { ...want, yes: true, since },
    { signal: onSignals(() => undefined) },
  );
  if (want["json"] !== true) printReport(report, want);
  return { exit: EXIT[report.outcome], json: asJson(report), lines: [] };
};

/** `pair <host> --undo`: the whole pairing with this host, however often it was renewed, and no other. */
async function unpair({ machine, place, want }: Desk, peer: string): Promise<Spoken> {
  const json = want["json"] === true;
  const say = await createVoice({ json, verbose: want["verbose"] === true, env: process.env });
  const options = { machine, ...place, say, signal: onSignals(() => undefined) };
  const report = await part(options, peer, want["forget"] === true ? "if-it-answers" : "must");
  say.clear();
  if (!json) printReport(report, want);
  return {
    exit: EXIT[report.outcome],
    json: asJson(report),
    lines: report.outcome === "converged" ? [`${place.host} is not paired with ${peer}`] : [],
  };
}

/** Where the peer is, and which host key it shows: accepted by the person, or by `--accept`. */
async function firstContact({ probe, want }: Desk, peer: string): Promise<FirstContact> {
  const entry = (await readConfig(probe)).hosts.find((host) => host.name === peer);
  const address = textOf(want, "address") ?? entry?.address;
  if (address === undefined) {
    throw new UsageError(
      "usage",
      `pair ${peer}`,
      "shared.cfg names no address for it, and --address was not given",
      ["./bin/shelter", "pair", peer, "--address", "ADDRESS"],
    );
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/.test(address)) {
    throw new UsageError(
      "usage",
      `--address ${printable(address)}`,
      "that is no host name or address",
    );
  }
  const port = Number(textOf(want, "port") ?? "22");
  const user = textOf(want, "user") ?? entry?.user ?? probe.me.user;
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new UsageError("usage", "--port", "it takes 1 to 65535");
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(user))
    throw new UsageError("usage", `--user ${printable(user)}`, "that is no user's name");
  const home = homeThere(textOf(want, "there") ?? entry?.home, user);
  const shown = await hostKeysOf(probe, address, port);
  const accepted = await acceptedKeys(shown, peer, address, textOf(want, "accept"));
  return { address, port, user, home, hostKeys: accepted };
}

/** A home from "~/" is of the user there; homes of other forms are taken as they are. */
function homeThere(home: string | undefined, user: string): string {
  const path = home ?? "~/.mountain_shelter";
  if (!path.startsWith("~/")) return path;
  return `${user === "root" ? "/root" : `/home/${user}`}${path.slice(1)}`;
}

async function hostKeysOf(probe: Probe, address: string, port: number): Promise<readonly string[]> {
  const ran = await probe.run(["ssh-keyscan", "-T", "8", "-p", String(port), "--", address], {
    timeout: 30_000,
  });
  const keys = ran.stdout
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(" ").slice(1, 3).join(" "));
  if (keys.length > 0) return keys;
  throw new ShelterError(
    "peer-unreachable",
    `asking ${address} for its host key`,
    ran.stderr.trim().split("\n").at(-1) || "no ssh server answers there",
    ["ssh", "-p", String(port), address],
  );
}

/** A fingerprint vouches for its own key alone; the others are not pinned. */
async function acceptedKeys(
  shown: readonly string[],
  peer: string,
  address: string,
  accept: string | undefined,
): Promise<readonly string[]> {
  const prints = shown.map((key) => ({ key, print: fingerprint(key) }));
  if (accept !== undefined) {
    const match = prints.filter((one) => one.print === accept);
    if (match.length > 0) return match.map((one) => one.key);
    throw new ShelterError(
      "fingerprint-differs",
      `pairing with ${peer}`,
      `${address} shows ${prints.map((one) => one.print).join(", ")}, not ${printable(accept)}: another machine answers there, or the fingerprint was mistyped`,
    );
  }
  const best = prints.find((one) => one.key.startsWith("ssh-ed25519 ")) ?? prints[0];
  if (!best) return [];
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new ShelterError(
      "not-accepted",
      `pairing with ${peer}`,
      `there is no terminal to confirm its host key on: ${best.print}`,
      ["./bin/shelter", "pair", peer, "--accept", best.print],
    );
  }
  const { paint } = layout(false);
  print(paint("sage", `${peer} at ${printable(address)} shows the host key ${best.print}`));
  print(
    paint(
      "taupe",
      `Compare it with what ${peer} itself says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`,
    ),
  );
  if (await askYesNo("Is it the same?", false)) return [best.key];
  throw new ShelterError("not-accepted", `pairing with ${peer}`, "its host key was not accepted");
}
