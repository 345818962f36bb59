/** Pairing between two booted hosts, with real sshd: what it opens, what it does not, and that it can be taken back on both. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  ADDRESS,
  bootTwoHosts,
  fingerprintOfHost,
  giveLogin,
  HOME,
  said,
  type TwoHosts,
  USER,
} from "./two_hosts.ts";

let lab: TwoHosts;
beforeAll(async () => {
  lab = await bootTwoHosts(process.env["SHELTER_TEST_BIN"] ?? "bin");
  await giveLogin(lab.phantom, lab.shadow);
}, 600_000);
afterAll(async () => {
  await lab.stop();
}, 120_000);

const pairing = () => ["shelter", "pair", "shadow", "--address", ADDRESS.shadow];
const everything = (host: TwoHosts["phantom"]) =>
  said(host, [
    "sh",
    "-c",
    `cat /home/${USER}/.ssh/authorized_keys 2>/dev/null; ls -la ${HOME}/runtime/trust 2>/dev/null || true`,
  ]);

test("services of one name on two hosts do not meet: each host has control groups of its own", async () => {
  const unit = `printf '[Service]\\nExecStart=/bin/sleep 60\\n' >/run/systemd/system/same.service
    systemctl daemon-reload
    for i in $(seq 60); do systemctl start same && systemctl stop same; systemctl reset-failed; done
    journalctl --no-pager -u same | grep -cE 'control group|status=219' || true`;
  const troubles = await Promise.all(
    [lab.phantom, lab.shadow].map((host) => said(host, ["sh", "-c", unit])),
  );
  expect(troubles).toEqual(["0\n", "0\n"]);
}, 180_000);

test("without a terminal the fingerprint must be said, and a wrong one is refused before anything changes", async () => {
  const before = await everything(lab.shadow);
  const unsaid = await lab.shelter(lab.phantom, pairing());
  expect(unsaid.code).toBe(11);
  expect(unsaid.stderr).toContain("--accept");
  const wrong = await lab.shelter(lab.phantom, [
    ...pairing(),
    "--accept",
    "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  ]);
  expect(wrong.code).toBe(11);
  expect(wrong.stderr).toContain("another machine answers there");
  expect(await everything(lab.shadow)).toBe(before);
}, 60_000);

test("pairing proves both directions, and a second one changes nothing", async () => {
  const accept = await fingerprintOfHost(lab.shadow);
  const first = await lab.shelter(lab.phantom, [...pairing(), "--accept", accept]);
  expect({ code: first.code, err: first.code === 0 ? "" : first.stderr + first.stdout }).toEqual({
    code: 0,
    err: "",
  });
  expect(first.stdout).toContain("prove");
  const second = await lab.shelter(lab.phantom, [...pairing(), "--json"]);
  expect(JSON.parse(second.stdout)).toMatchObject({
    outcome: "converged",
    facts: { proven: true },
  });
}, 120_000);

test("a paired key opens no shell, no forwarding, and nothing outside its role", async () => {
  const ssh = (role: string, ...words: string[]) =>
    lab.phantom.run(
      [
        ...[
          "ssh",
          "-F",
          "/dev/null",
          "-i",
          `${HOME}/runtime/identity/${role}`,
          "-o",
          "BatchMode=yes",
        ],
        ...[
          "-o",
          `UserKnownHostsFile=${HOME}/runtime/identity/known_hosts`,
          "-o",
          "HostKeyAlias=shelter-shadow",
        ],
        ...["-o", "StrictHostKeyChecking=yes", `${USER}@${ADDRESS.shadow}`, ...words],
      ],
      { as: USER },
    );
  for (const [role, words] of [
    ["operator", ["id"]],
    ["operator", []],
    ["operator", ["prove", "$(id)"]],
    ["operator", ["answer", "phantom"]],
    ["mirror", ["prove", "x"]],
    ["mirror", ["sh"]],
    ["witness", ["rsync", "--server", "."]],
  ] as const) {
    const ran = await ssh(role, ...words);
    expect({ role, words, code: ran.code }).toEqual({ role, words, code: 11 });
    expect(ran.stdout + ran.stderr).not.toContain("uid=");
  }
  const forward = await ssh("operator", "-W", "127.0.0.1:22");
  expect(forward.code).not.toBe(0);
}, 120_000);

test("another host key at the peer's address is refused, and named", async () => {
  await said(lab.shadow, [
    "sh",
    "-c",
    "mkdir /root/kept && mv /etc/ssh/ssh_host_* /root/kept && ssh-keygen -A && systemctl restart ssh",
  ]);
  const ran = await lab.shelter(lab.phantom, ["00_check_structure", "--host", "shadow"]);
  expect(ran.code).toBe(11);
  expect(ran.stderr + ran.stdout).toContain("another host key");
  await said(lab.shadow, [
    "sh",
    "-c",
    "rm /etc/ssh/ssh_host_* && mv /root/kept/* /etc/ssh && rmdir /root/kept && systemctl restart ssh",
  ]);
}, 60_000);

test("a renewed certificate reaches the other side", async () => {
  const certificate = () => said(lab.shadow, ["cat", `${HOME}/runtime/trust/phantom.json`]);
  const before = JSON.parse(await certificate()) as { certificate: string };
  await Bun.sleep(1100); // certificates have seconds
  const accept = await fingerprintOfHost(lab.shadow);
  const ran = await lab.shelter(lab.phantom, [...pairing(), "--renew", "--accept", accept]);
  expect({ code: ran.code, err: ran.code === 0 ? "" : ran.stderr + ran.stdout }).toEqual({
    code: 0,
    err: "",
  });
  expect((JSON.parse(await certificate()) as { certificate: string }).certificate).not.toBe(
    before.certificate,
  );
}, 120_000);

test("the host that was asked ends it for both, by one undo that takes the renewal along; a second says that there is nothing", async () => {
  const ran = await lab.shelter(lab.shadow, ["shelter", "pair", "phantom", "--undo"]);
  expect({ code: ran.code, err: ran.code === 0 ? "" : ran.stderr + ran.stdout }).toEqual({
    code: 0,
    err: "",
  });
  expect(await everything(lab.shadow)).not.toContain("mountain-shelter");
  expect(await everything(lab.phantom)).not.toContain("shadow");
  const again = await lab.shelter(lab.phantom, ["shelter", "pair", "shadow", "--undo"]);
  expect([again.code, again.stdout]).toEqual([
    0,
    expect.stringContaining("phantom is not paired with shadow"),
  ]);
}, 120_000);

test("while the other host does not answer it stays paired and says so; undo --all refuses, and keeps the keys", async () => {
  const accept = await fingerprintOfHost(lab.shadow);
  const paired = await lab.shelter(lab.phantom, [...pairing(), "--accept", accept]);
  expect([paired.code, paired.stderr]).toEqual([0, ""]);
  await lab.cable(false);
  try {
    const one = await lab.shelter(lab.phantom, ["shelter", "pair", "shadow", "--undo"]);
    expect(one.code).toBe(13);
    expect(one.stdout + one.stderr).toMatch(/still\s+paired/);
    const all = await lab.shelter(lab.phantom, ["shelter", "undo", "--all"]);
    expect(all.code).toBe(11);
    expect(all.stdout + all.stderr).toContain("pair shadow --undo --forget");
    expect(await everything(lab.phantom)).toContain("shadow.json");
  } finally {
    await lab.cable(true);
  }
}, 120_000);

test("undo --all ends the pairing on both hosts before this one's keys go", async () => {
  const all = await lab.shelter(lab.phantom, ["shelter", "undo", "--all"]);
  expect({ code: all.code, err: all.code === 0 ? "" : all.stderr + all.stdout }).toEqual({
    code: 0,
    err: "",
  });
  expect(await everything(lab.shadow)).not.toContain("mountain-shelter");
  expect(await everything(lab.phantom)).not.toContain("shadow");
  await said(lab.phantom, ["test", "!", "-e", `${HOME}/runtime/identity`]);
}, 120_000);
