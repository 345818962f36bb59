/** A gateway's certificate that is of no use is made anew by the pairing itself: nobody has to know why it is not believed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inHome } from "../../lib/keep/home.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { observePairing, type PairFacts } from "../../lib/trust/facts.ts";
import { makeCertificate } from "../../lib/trust/make.ts";
import { ROLES } from "../../lib/trust/offer.ts";
import { GATEWAY_CERTIFICATE, GATEWAY_KEY } from "../../lib/trust/store.ts";
import { pairUnit, RENEW_DAYS } from "../../lib/trust/unit.ts";
import { makeAuthority } from "../support/certificates.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { SILENT } from "../support/run.ts";
import { offerOf, trusts } from "../support/two_worlds.ts";

const kept = keptForEachTest();
const folder = mkdtempSync(join(tmpdir(), "shelter-renewal-"));
/** A certificate and its key as the product makes them, and those of a foreign authority. */
let own: { readonly cert: string; readonly key: string };
let foreign: typeof own;
beforeAll(async () => {
  const world = kept(fakeMachine({ programs: { openssl: realOpenssl } }));
  const probe = createProbe(world.machine, FAKE_HOME, "shadow");
  const act = createAct(world.machine, probe);
  const signal = new AbortController().signal;
  await makeCertificate({ probe, act, say: SILENT, signal }, {});
  const read = (name: string) => world.read(inHome.identity(FAKE_HOME, name));
  own = { cert: read(GATEWAY_CERTIFICATE), key: read(GATEWAY_KEY) };
  const issued = makeAuthority(folder).issue("shadow", 300);
  foreign = { cert: readFileSync(issued.cert, "utf8"), key: readFileSync(issued.key, "utf8") };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function realOpenssl(argv: readonly string[]) {
  const ran = Bun.spawnSync([...argv]);
  return { code: ran.exitCode, stdout: ran.stdout.toString(), stderr: ran.stderr.toString() };
}

/** What a host sees of its own side, whose clock is off by this many milliseconds. */
function facts(cert: string, key: string, off = 0): Promise<PairFacts> {
  const world = kept(fakeMachine({ now: () => Date.now() + off }));
  world.write(inHome.identity(FAKE_HOME, GATEWAY_CERTIFICATE), { text: cert, mode: 0o600 });
  world.write(inHome.identity(FAKE_HOME, GATEWAY_KEY), { text: key, mode: 0o600 });
  for (const role of ROLES) {
    world.write(inHome.identity(FAKE_HOME, role), { text: "private", mode: 0o600 });
    world.write(inHome.identity(FAKE_HOME, `${role}.pub`), `ssh-ed25519 ${"k".repeat(68)} x`);
  }
  trusts(world, offerOf("phantom"));
  return observePairing(createProbe(world.machine, FAKE_HOME, "shadow"), "phantom", undefined);
}
const isRenewed = (seen: PairFacts) =>
  pairUnit("phantom")
    .plan(seen, {})
    .some((step) => step.do === "call" && step.name === "make_certificate");
const DAY = 86_400_000;

test("one that is good stays", async () => {
  expect(isRenewed(await facts(own.cert, own.key))).toBe(false);
  expect(isRenewed(await facts(own.cert, own.key, 300 * DAY))).toBe(false);
});

test("one that has ended, or soon will, is made anew", async () => {
  expect(isRenewed(await facts(own.cert, own.key, (397 - RENEW_DAYS) * DAY + DAY))).toBe(true);
  expect(isRenewed(await facts(own.cert, own.key, 500 * DAY))).toBe(true);
});

test("one that was made while the clock was ahead is made anew once it is right", async () => {
  expect(isRenewed(await facts(own.cert, own.key, -3_600_000))).toBe(true);
});

test("one of a foreign authority, of another key, or none at all, is made anew", async () => {
  expect(isRenewed(await facts(foreign.cert, foreign.key))).toBe(true);
  expect(isRenewed(await facts(own.cert, foreign.key))).toBe(true);
  expect(isRenewed(await facts(own.cert, "no key"))).toBe(true);
  expect(isRenewed(await facts("no certificate", own.key))).toBe(true);
});
