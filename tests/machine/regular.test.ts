/** A pipe, a socket, a device or a folder in the place of a file: refused at once, by every way of reading and adding. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAct } from "../../lib/machine/act.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";

const home = mkdtempSync(join(tmpdir(), "shelter-regular-"));
const at = (name: string) => join(home, name);
const probe = createProbe(thisMachine(), home, "testhost");
const act = createAct(thisMachine(), probe);
let server: Server;

beforeAll(async () => {
  expect(Bun.spawnSync(["mkfifo", at("pipe")]).exitCode).toBe(0);
  server = createServer();
  await new Promise<void>((resolve) => server.listen(at("socket"), resolve));
  mkdirSync(at("folder"));
  symlinkSync("pipe", at("link to a pipe"));
  symlinkSync("/dev/null", at("link to a device"));
  writeFileSync(at("file"), "text\n");
  symlinkSync("file", at("link to a file"));
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(home, { recursive: true });
});

test.each([
  ["pipe", "ENXIO"],
  ["link to a pipe", "ENXIO"],
  ["socket", "ENXIO"],
  ["link to a device", "ENXIO"],
  ["folder", "EISDIR"],
])("%s", async (name, code) => {
  const path = at(name);
  const why = code === "ENXIO" ? "a pipe, a socket or a device" : "a folder";
  expect(probe.read(path)).toEqual({ state: "error", why: expect.stringContaining(why) });
  expect(probe.text(path)).toBeUndefined();
  const refused = expect.objectContaining({ code });
  const tried = (work: () => unknown) => {
    try {
      return work();
    } catch (error) {
      return error;
    }
  };
  expect(tried(() => probe.bytes(path, 0, 4))).toEqual(refused);
  expect(await probe.sha256(path).catch((error: unknown) => error)).toEqual(refused);
  expect(tried(() => act.appendLine(path, "x"))).toEqual(refused);
  expect(tried(() => act.appendText(path, "x"))).toEqual(refused);
  expect(tried(() => act.truncate(path, 0))).toEqual(refused);
  expect(tried(() => act.copy(path, at("copy")))).toEqual(refused);
});

test("a file, and a link to one, are read and added to; /proc and /sys too", async () => {
  for (const name of ["file", "link to a file"]) {
    act.appendLine(at(name), "more");
    expect(probe.text(at(name))).toBe(readFileSync(at("file"), "utf8"));
  }
  act.appendText(at("new"), "one");
  expect([probe.text(at("new")), probe.stat(at("new"))?.mode]).toEqual(["one", 0o600]);
  expect((await probe.sha256(at("new"))).length).toBe(64);
  expect(probe.text("/proc/sys/kernel/hostname")).toBeTruthy();
  expect(probe.read(at("none"))).toEqual({ state: "absent" });
});
