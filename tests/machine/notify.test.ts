/** What systemd would receive: read from a real datagram socket of the test's own. */
import { afterEach, expect, test } from "bun:test";
import { dlopen, ptr } from "bun:ffi";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ShelterError } from "../../lib/errors.ts";
import { createNotifier } from "../../lib/machine/notify.ts";

const libc = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
}).symbols;
const MSG_DONTWAIT = 0x40;

const made: { handle: number; folder: string }[] = [];
afterEach(() => {
  for (const { handle, folder } of made.splice(0)) {
    libc.close(handle);
    rmSync(folder, { recursive: true, force: true });
  }
});

/** A socket to be told at; `receive` returns the next message, or undefined. */
function systemd(kind: "path" | "abstract") {
  const folder = mkdtempSync(join(tmpdir(), "shelter-notify-"));
  const path = kind === "path" ? join(folder, "notify") : `@shelter-notify-${process.pid}`;
  const handle = libc.socket(1, 2, 0);
  made.push({ handle, folder });
  const end = kind === "path" ? "\0" : "";
  const address = Buffer.from(`\u0001\0${path.replace(/^@/, "\0")}${end}`);
  expect(libc.bind(handle, ptr(address), address.length)).toBe(0);
  const receive = () => {
    const buffer = Buffer.alloc(4096);
    const length = Number(libc.recv(handle, ptr(buffer), buffer.length, MSG_DONTWAIT));
    return length < 0 ? undefined : buffer.toString("utf8", 0, length);
  };
  return { path, receive };
}

for (const kind of ["path", "abstract"] as const) {
  test(`each message arrives whole and in order (${kind} socket)`, async () => {
    const { path, receive } = systemd(kind);
    const notifier = await createNotifier({ NOTIFY_SOCKET: path });
    notifier.ready("serving\na model");
    notifier.status("é");
    notifier.alive();
    notifier.stopping();
    expect([receive(), receive(), receive(), receive(), receive()]).toEqual([
      "READY=1\nSTATUS=serving a model",
      "STATUS=é",
      "WATCHDOG=1",
      "STOPPING=1",
      undefined,
    ]);
  });
}

test("without a socket nothing is said and nothing fails", async () => {
  const notifier = await createNotifier({});
  notifier.ready("here");
  notifier.alive();
  expect(notifier.every).toBeUndefined();
});

test("a sign of life is due three times in systemd's limit, where it is meant for this process", async () => {
  const { path } = systemd("path");
  const every = async (more: Record<string, string>) =>
    (await createNotifier({ NOTIFY_SOCKET: path, WATCHDOG_USEC: "30000000", ...more })).every;
  expect(await every({})).toBe(10_000);
  expect(await every({ WATCHDOG_PID: String(process.pid) })).toBe(10_000);
  expect(await every({ WATCHDOG_PID: "1" })).toBeUndefined();
  expect(await every({ WATCHDOG_USEC: "" })).toBeUndefined();
});

test("a readiness that nobody hears is an error, a sign of life is not", async () => {
  const notifier = await createNotifier({ NOTIFY_SOCKET: "/nowhere/notify" });
  expect(() => notifier.ready("here")).toThrow(ShelterError);
  notifier.alive();
});

test("a name that is no unix socket's is refused", async () => {
  for (const path of ["notify", `/${"x".repeat(200)}`]) {
    await expect(createNotifier({ NOTIFY_SOCKET: path })).rejects.toThrow("no unix socket");
  }
});
