/** What a peer in trouble, or a hostile one, answers and asks: each gets a line, and nothing is changed. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import { createProbe } from "../../lib/machine/probe.ts";
import type { CommitRequest, PeerState } from "../../lib/mirror/wire.ts";
import type { RunReport } from "../../lib/unit.ts";
import { unit } from "../../scripts/05_rsync_mirror.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import {
  askPeer,
  certificateOf,
  mirrorMachine,
  PEER_HOME,
  type TwoHomes,
} from "../support/mirror_world.ts";
import { runOn } from "../support/run.ts";
import { keptForEachTest } from "../support/kept.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const certificate = certificateOf("shadow");
const keep = keptForEachTest();
const world = (homes: TwoHomes) => keep(fakeMachine(mirrorMachine(certificate, homes)));
const whats = (report: RunReport) => report.findings.map((one) => one.what).join("\n");
const mine = { "status/testhost/structure_ok.json": { text: '{"schema":1}\n', mode: 0o600 } };

test.each([
  ["an older release", { code: 11, stderr: "mirror may not ask for state" }, "older release"],
  ["another host key", { code: 255, stderr: "Host key verification failed." }, "another host key"],
  ["nobody", { code: 255, stderr: "connect: No route to host" }, "did not answer"],
  ["nonsense", { code: 0, stdout: "{}" }, "form of the mirror is undefined"],
  ["half a document", { code: 0, stdout: '{"schema":1,"host"' }, "reading what shadow said"],
  ["a way out", { code: 0, stdout: stateWith({ next: "../../x" }) }, "no name of ours"],
  ["a time that is none", { code: 0, stdout: stateWith({ now: MAX }) }, "a number is none"],
  ["a read-only home", { code: 0, stdout: stateWith({ readOnly: true }) }, "is read-only"],
  ["a full disk", { code: 0, stdout: stateWith({ free: 100 }) }, "has 100 B free"],
])("%s answers: said in a line, and nothing is changed", async (_, answer, said) => {
  const at = world({ mine, onRequest: (words) => (words[0] === "state" ? answer : undefined) });
  const before = at.picture(PEER_HOME);
  const report = await runOn(at, unit);
  expect(report.outcome).toBe("blocked");
  expect(`${report.error?.what} ${report.error?.why}`).toContain(said);
  expect(at.picture(PEER_HOME)).toEqual(before);
});

test("a clock that is an hour off is said, and holds nothing up", async () => {
  const at = world({
    mine,
    onRequest: (words) =>
      words[0] === "state" && words.length === 1
        ? { code: 0, stdout: stateWith({ now: Date.now() - 3_600_000 }) }
        : undefined,
  });
  const plan = await runOn(at, unit, { mode: "plan" });
  expect(whats(plan)).toContain("behind this host's");
  expect(plan.outcome).toBe("planned");
});

test.each(["@/etc", "@../../.ssh", "@d/.."])(
  "a peer's version that is a link leading out (%s) is not taken",
  async (version) => {
    const shared = { "agents/x": version };
    const at = world({
      mine: { ...mine, "agents/x": "ours\n" },
      onRequest: (words) =>
        words[0] === "state" ? { code: 0, stdout: stateWith({ shared }) } : undefined,
    });
    const report = await runOn(at, unit, { want: { yes: true, take: "theirs", path: "agents/x" } });
    expect(report.error?.id).toBe("version-refused");
    expect(at.read(join(FAKE_HOME, "agents/x"))).toBe("ours\n");
  },
);

function stateWith(change: Partial<PeerState>): string {
  const state: PeerState = {
    schema: 1,
    host: "shadow",
    release: "0.1.0 x",
    now: Date.now(),
    free: 10 ** 12,
    readOnly: false,
    current: null,
    next: "00000001",
    digest: null,
    manifest: null,
    damaged: [],
    shared: {},
    closed: [],
    agreed: {},
    models: [],
    missing: [],
    arriving: [],
    program: null,
    newest: null,
    programsClosed: false,
    allows: null,
    built: null,
  };
  return JSON.stringify({ ...state, ...change });
}

const manifest = { schema: 1, from: "testhost", generation: "00000001", files: [], links: [] };
const asked: CommitRequest = {
  schema: 1,
  manifest: { ...manifest, schema: 1 },
  changes: [],
  agreed: {},
  models: [],
  keep: 3,
  release: null,
};
const hashOf = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");
const file = (path: string) => ({ path, bytes: 1, sha256: "0".repeat(64) });

test.each([
  ["another host's status", { files: [file("status/shadow/x.json")] }],
  ["the keys", { files: [file("runtime/identity/mirror")] }],
  ["our own programs", { files: [file("bin/shelter")] }],
  ["a way out", { files: [file("agents/../../x")] }],
  ["an absolute path", { files: [file("/etc/passwd")] }],
  ["the same twice", { files: [file("agents/x"), file("agents/x")] }],
  ["a link that leads out", { links: [{ path: "agents/x", target: "../../.ssh" }] }],
  ["a link to its own folder", { links: [{ path: "agents/l1", target: "." }] }],
  ["a link that climbs by way of a name", { links: [{ path: "agents/l2", target: "l1/.." }] }],
  [
    "a file below one of its links",
    { links: [{ path: "agents/l", target: "d" }], files: [file("agents/l/.bashrc")] },
  ],
  [
    "a link below one of its links",
    {
      links: [
        { path: "agents/l", target: "d" },
        { path: "agents/l/.bashrc", target: "e" },
      ],
    },
  ],
  ["a link among logs", { links: [{ path: "logs/memory/testhost/x", target: "y" }] }],
  ["somebody else's name", { from: "other" }],
  ["a generation outside", { generation: "../x" }],
])("a peer that would write %s is refused", async (_, change) => {
  const at = world({});
  const before = at.picture(PEER_HOME, (path) => path.endsWith("/runtime/locks"));
  const request = { ...asked, manifest: { ...manifest, ...change } };
  const ran = await askPeer(at, ["commit"], JSON.stringify(request));
  expect(ran.code).toBe(11);
  expect(at.picture(PEER_HOME, (path) => path.endsWith("/runtime/locks"))).toEqual(before);
});

test("no link stands in what is still arriving: not while a model is awaited, and not after a generation was taken back", async () => {
  const at = world({});
  const arriving = join(PEER_HOME, "runtime/mirror/testhost/00000001.partial/agents/l");
  const links = [{ path: "agents/l", target: "d" }];
  const linked = { ...asked, manifest: { ...manifest, links } };
  const models = [{ sha256: "0".repeat(64), bytes: 1, names: [] }];
  const short = await askPeer(at, ["commit"], JSON.stringify({ ...linked, models }));
  expect(JSON.parse(short.stdout)).toMatchObject({ done: false });
  expect(isThere(at, arriving)).toBe(false);
  const whole = await askPeer(at, ["commit"], JSON.stringify(linked));
  expect(JSON.parse(whole.stdout)).toMatchObject({ done: true });
  expect(isThere(at, arriving.replace(".partial", ""))).toBe(true);
  expect((await askPeer(at, ["back", "00000001"])).stdout).toContain('"left":[]');
  expect(isThere(at, arriving)).toBe(false);
});

/** Whether anything has this name, a link that leads nowhere too. */
function isThere(at: FakeWorld, path: string): boolean {
  return createProbe(at.machine, PEER_HOME, "shadow").stat(path) !== undefined;
}

test("a peer that would change what is not shared, or through a link, does not", async () => {
  const at = world({ theirs: { agents: { link: "/etc" } } });
  const change = { path: "runtime/trust/x.json", was: null, now: null };
  const foreign = await askPeer(at, ["commit"], JSON.stringify({ ...asked, changes: [change] }));
  expect(foreign.code).toBe(11);
  const through = { path: "agents/x", was: null, now: "0".repeat(64) };
  const linked = await askPeer(at, ["commit"], JSON.stringify({ ...asked, changes: [through] }));
  expect(linked.stdout).toContain("agents is a link here");
  expect(at.exists(`/peer/etc/x`)).toBe(false);
  at.write(join(FAKE_HOME, "agents/x"), "ours\n");
  const report = await runOn(at, unit);
  expect(whats(report)).toContain("shadow has something at agents that is not mirrored");
  expect((await runOn(at, unit)).outcome).toBe("converged");
});

test("what arrives belongs to the owner alone: of a peer's modes only whether it is a program counts", async () => {
  const at = world({});
  const arriving = (path: string) =>
    join(PEER_HOME, "runtime/mirror/testhost/00000001.partial", path);
  const files = { "agents/x": 0o4777, "agents/y": 0o644 };
  for (const [path, mode] of Object.entries(files)) {
    at.write(arriving(path), "x");
    chmodSync(at.path(arriving(path)), mode);
  }
  const sha256 = hashOf("x");
  const listed = Object.keys(files).map((path) => ({ path, bytes: 1, sha256 }));
  const changes = [
    { path: "agents/x", was: null, now: `${sha256}x` },
    { path: "agents/y", was: null, now: sha256 },
  ];
  const request = { ...asked, manifest: { ...manifest, files: listed }, changes };
  expect((await askPeer(at, ["commit"], JSON.stringify(request))).stdout).toContain('"left":[]');
  const modeOf = (path: string) =>
    (statSync(at.path(join(PEER_HOME, path))).mode & 0o7777).toString(8);
  for (const top of ["", "runtime/mirror/testhost/00000001"])
    expect([modeOf(join(top, "agents/x")), modeOf(join(top, "agents/y"))]).toEqual(["700", "600"]);
});

test("a shared.cfg that can't be used never goes live", async () => {
  const at = world({ theirs: { "shared.cfg": "models: []\n" } });
  for (const [turn, text] of ["not: [a config", "ports: {gateway: 80}\n"].entries()) {
    const generation = `0000000${turn + 1}`;
    at.write(join(PEER_HOME, `runtime/mirror/testhost/${generation}.partial/shared.cfg`), text);
    const listed = { path: "shared.cfg", bytes: text.length, sha256: hashOf(text) };
    const change = { path: "shared.cfg", was: hashOf("models: []\n"), now: hashOf(text) };
    const request = {
      ...asked,
      manifest: { ...manifest, generation, files: [listed] },
      changes: [change],
      agreed: { "shared.cfg": hashOf(text) },
    };
    const { stdout } = await askPeer(at, ["commit"], JSON.stringify(request));
    expect(stdout).toContain("shared.cfg can't be used");
    expect(at.read(join(PEER_HOME, "shared.cfg"))).toBe("models: []\n");
    expect(at.read(join(PEER_HOME, "runtime/mirror/shadow/testhost.json"))).not.toContain(
      "shared.cfg",
    );
  }
});

/** Documents that are nearly right, and some that are nothing. */
const anyDocument = fc.oneof(
  fc.json(),
  fc.string(),
  fc
    .record({
      key: fc.constantFrom("manifest", "changes", "agreed", "models", "keep", "release", "schema"),
      value: fc.oneof(fc.jsonValue(), fc.constant([{ path: "../x", was: null, now: "@/etc" }])),
    })
    .map(({ key, value }) => JSON.stringify({ ...asked, [key]: value })),
);

test("whatever is asked, nothing but the peer's own place changes, and nothing throws but a clear error", async () => {
  const at = world({ theirs: { "agents/a": "theirs\n", "runtime/identity/mirror": "secret" } });
  const outside = () =>
    at.picture("/peer", (path) => /\/runtime\/(?:locks|work|mirror)$/.test(path));
  const before = outside();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("state", "commit", "back", "read", "offer", "rsync", "list", ""),
      fc.array(fc.oneof(fc.constantFrom("00000001", "..", "../..", "/etc"), fc.string()), {
        maxLength: 3,
      }),
      anyDocument,
      async (verb, rest, input) => {
        const { stdout } = await askPeer(at, [verb, ...rest], input);
        expect(stdout).not.toContain(Buffer.from("secret").toString("base64"));
        expect(outside()).toEqual(before);
      },
    ),
    { numRuns: 400 },
  );
}, 60_000);

test("only shared files are told, and none through a link", async () => {
  const at = world({
    theirs: {
      "agents/a": "shared\n",
      "agents/out": { link: "../runtime" },
      "runtime/identity/mirror": "secret",
    },
  });
  const read = (path: string) => askPeer(at, ["read", Buffer.from(path).toString("base64url")]);
  const told = (await read("agents/a")).stdout;
  expect(told).toContain(Buffer.from("shared\n").toString("base64"));
  expect((await read("runtime/identity/mirror")).code).toBe(11);
  expect((await read("agents/../runtime/identity/mirror")).code).toBe(11);
  expect((await read("agents/out/identity/mirror")).stdout).toContain('"content":null');
});
