/** Programs that were built here for a peer: they go live there only as they were signed, and come back with --undo. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { createProbe } from "../../lib/machine/probe.ts";
import { NAMES } from "../../lib/orchestra/names.ts";
import { giveNames, releaseName, releaseProgram, setLive } from "../../lib/orchestra/releases.ts";
import type { RunReport } from "../../lib/unit.ts";
import { unit } from "../../scripts/05_rsync_mirror.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import {
  askPeer,
  certificateOf,
  mirrorMachine,
  peerContext,
  PEER_HOME,
} from "../support/mirror_world.ts";
import { hashOf, newKey, programs } from "../support/mirror_programs.ts";
import { runOn } from "../support/run.ts";
import { keptForEachTest } from "../support/kept.ts";
import { testUnless } from "../support/left_out.ts";

const certificate = certificateOf("shadow");
const keep = keptForEachTest();
const KEY = "bin/hosts/shadow";

function world(signer = newKey(), known = signer.known): FakeWorld {
  const machine = mirrorMachine(certificate, {
    mine: {
      "runtime/identity/signing": { text: signer.secret, mode: 0o600 },
      "runtime/identity/signing.pub": signer.text,
      ...programs(KEY, "the new program"),
    },
    theirs: programs("bin", "the old program"),
    signing: known,
  });
  return keep(fakeMachine(machine));
}

const take = (at: FakeWorld) => runOn(at, unit, { want: { yes: true, take: "mine", path: KEY } });
const live = (at: FakeWorld) => at.read(join(PEER_HOME, "bin/05_rsync_mirror"));
const whats = (report: RunReport) => report.findings.map((one) => one.what).join("\n");
const needsKeygen = testUnless(
  Bun.which("ssh-keygen") === null ? "there is no ssh-keygen" : undefined,
);

needsKeygen(
  "programs of the peer's own stay until the operator says so; then all names change, and --undo brings them back",
  async () => {
    const at = world();
    const first = await runOn(at, unit);
    expect(whats(first)).toContain("shadow runs other programs than were built for it here");
    expect(live(at)).toBe("the old program");
    expect((await take(at)).outcome).toBe("changed");
    expect(live(at)).toBe("the new program");
    const probe = createProbe(at.machine, PEER_HOME, "shadow");
    const inodes = NAMES.map((name) => probe.stat(join(PEER_HOME, "bin", name))?.inode);
    expect(new Set(inodes).size).toBe(1);
    expect((await runOn(at, unit)).outcome).toBe("converged");
    expect((await runOn(at, unit, { mode: "undo" })).outcome).toBe("changed");
    expect(live(at)).toBe("the old program");
  },
);

test("a peer that names an older program of this host's as the one before, and takes its generation back, does not bring it live", async () => {
  const at = world({ secret: "", text: "", known: "ssh-ed25519 AAAA" });
  const context = peerContext(at);
  for (const text of ["an old program with a hole", "the current program"]) {
    at.write(releaseProgram(PEER_HOME, releaseName(hashOf(text))), { text, mode: 0o755 });
  }
  const current = hashOf("the current program");
  giveNames(context, join(FAKE_HOME, "bin"), current);
  setLive(context, releaseName(current));
  expect(live(at)).toBe("the current program");
  const request = {
    schema: 1,
    manifest: { schema: 1, from: "testhost", generation: "00000001", files: [], links: [] },
    changes: [],
    agreed: { [KEY]: current },
    models: [],
    keep: 3,
    release: { was: hashOf("an old program with a hole") },
  };
  const committed = await askPeer(at, ["commit"], JSON.stringify(request));
  expect(committed.stdout).toContain("without their list of hashes");
  expect((await askPeer(at, ["back", "00000001"])).code).toBe(0);
  expect(live(at)).toBe("the current program");
});

needsKeygen("once agreed on, the next build goes over by itself", async () => {
  const at = world();
  await take(at);
  for (const [path, file] of Object.entries(programs(KEY, "the next program")))
    at.write(join(FAKE_HOME, path), file);
  expect((await runOn(at, unit)).outcome).toBe("changed");
  expect(live(at)).toBe("the next program");
});

needsKeygen("a signature of another key puts nothing live", async () => {
  const at = world(newKey(), newKey().known);
  const report = await take(at);
  expect({ outcome: report.outcome, id: report.error?.id }).toEqual({
    outcome: "corrupt",
    id: "programs-refused",
  });
  expect(live(at)).toBe("the old program");
});

needsKeygen("a program that is not what its list says is not sent", async () => {
  const at = world();
  at.write(join(FAKE_HOME, KEY, "shelter"), { text: "tampered with", mode: 0o755 });
  const report = await take(at);
  expect(whats(report)).toContain("are not sent: the program is not the one");
  expect(live(at)).toBe("the old program");
  expect(at.exists(join(PEER_HOME, "runtime/mirror/testhost/current/bin"))).toBe(false);
});
