/**
 * What a service tells systemd about itself (sd_notify(3)): one datagram per message to $NOTIFY_SOCKET. node:dgram and Bun know no unix datagrams, so libc
 * is called directly: 1.5 µs a message and 5 ms once, where starting systemd-notify takes 8 ms each time and is a process whose sender systemd can lose
 * (measured, Bun 1.4.4 compiled; systemd-notify(1) on NotifyAccess).
 */
import { ShelterError } from "../errors.ts";
import { openLibc } from "./libc.ts";

/** A service's line to systemd. Without one (run by a person) all of it does nothing. */
export interface Notifier {
  /** Milliseconds between two signs of life that systemd is content with: a third of WatchdogSec; undefined where it wants none. */
  readonly every: number | undefined;
  /** The service has started. @throws ShelterError "notify-failed": systemd would wait for it in vain. */
  ready(status: string): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** A sign of life. */
  alive(): void;
  stopping(): void;
}

/** socket(2), unix(7), send(2) on Linux. */
const [AF_UNIX, SOCK_DGRAM, SOCK_CLOEXEC, MSG_NOSIGNAL] = [1, 2, 0o2000000, 0x4000];
/** sizeof sun_path. */
const LONGEST = 108;

/** The line that this process's environment names. */
export async function createNotifier(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Notifier> {
  const path = env["NOTIFY_SOCKET"];
  const send = path === undefined ? undefined : await sender(path);
  const say = (message: string) => send?.(message) ?? true;
  return {
    every: send ? watchdog(env) : undefined,
    ready(status) {
      if (say(`READY=1\nSTATUS=${oneLine(status)}`)) return;
      throw new ShelterError(
        "notify-failed",
        "telling systemd that the service is ready",
        `${path} takes no message`,
        ["journalctl", "-b", "-n", "50"],
      );
    },
    status: (text) => void say(`STATUS=${oneLine(text)}`),
    alive: () => void say("WATCHDOG=1"),
    stopping: () => void say("STOPPING=1"),
  };
}

async function sender(path: string): Promise<(message: string) => boolean> {
  const name = Buffer.from(path.replace(/^@/, "\0"));
  if (!/^[/@]/.test(path) || name.length >= LONGEST) {
    throw new ShelterError("notify-socket", `NOTIFY_SOCKET ${path}`, "it is no unix socket's name");
  }
  const { ptr } = await import("bun:ffi");
  const libc = await openLibc({
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
  } as const);
  const handle = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (handle < 0) throw new ShelterError("notify-socket", path, "no socket could be made");
  // an abstract name ends where its bytes end, a path with a NUL
  const address = Buffer.concat([
    Buffer.from([AF_UNIX, 0]),
    name,
    Buffer.alloc(path.startsWith("@") ? 0 : 1),
  ]);
  return (message) => {
    const text = Buffer.from(message);
    const length = text.length;
    const sent = libc.sendto(handle, ptr(text), length, MSG_NOSIGNAL, ptr(address), address.length);
    return Number(sent) === length;
  };
}

/** sd_watchdog_enabled(3): the variables may be meant for another process. */
function watchdog(env: Readonly<Record<string, string | undefined>>): number | undefined {
  const limit = Number(env["WATCHDOG_USEC"]);
  const meant = env["WATCHDOG_PID"] === undefined || Number(env["WATCHDOG_PID"]) === process.pid;
  return meant && Number.isFinite(limit) && limit > 0 ? Math.floor(limit / 3000) : undefined;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, 400);
}
