/** How an alert reaches the person beside the banner: a desktop notification, and the operator's own command. */
import { asFailure, readable } from "../errors.ts";
import { ALLOW_COMMAND, isCommandAllowed } from "../hosts/alert_command.ts";
import type { Config } from "../hosts/settings.ts";
import { readConfig } from "../hosts/config.ts";
import { printable } from "../report/text.ts";
import type { CallContext } from "../unit.ts";
import type { Notice } from "./alerts.ts";

/** Longest that the operator's command and a notification may take, in milliseconds. */
const COMMAND_LIMIT = 30_000;
const DESKTOP_LIMIT = 5000;

type Hands = Pick<CallContext, "probe" | "act" | "say">;

/** Tells the person; each notice after those before it. Never throws: what fails is said in the log. */
export function createTelling(hands: Hands): {
  tell(notice: Notice): void;
  idle(): Promise<void>;
} {
  let queue: Promise<void> = Promise.resolve();
  const after = async (before: Promise<void>, notice: Notice) => {
    await before;
    const told = await Promise.allSettled([onDesktop(hands, notice), byCommand(hands, notice)]);
    for (const one of told) {
      if (one.status === "fulfilled") continue;
      const { what, why } = asFailure(readable(one.reason));
      hands.say.line(`An alert could not be told: ${what}: ${why}`);
    }
  };
  return {
    tell(notice) {
      hands.say.line(`${notice.alert.level}: ${notice.alert.what}`);
      queue = after(queue, notice);
    },
    idle: () => queue,
  };
}

/** To the session of the home's owner, where there is one (its bus stands in the user's runtime folder, systemd's pam module). */
async function onDesktop({ probe, act, say }: Hands, { alert }: Notice): Promise<void> {
  const bus = `/run/user/${probe.owner.uid}/bus`;
  if (!probe.stat(bus) || probe.which("notify-send") === undefined) return;
  const body = printable(alert.what).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const urgency = alert.level === "fail" ? "critical" : "normal";
  const ran = await act.run(
    [
      ...["notify-send", "--app-name=Mountain Shelter", `--urgency=${urgency}`],
      ...["--", `Mountain Shelter on ${probe.host}`, body],
    ],
    {
      env: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${bus}` },
      timeout: DESKTOP_LIMIT,
    },
  );
  if (ran.code !== 0) say.line(`notify-send ended with ${ran.code}`);
}

/** The operator's own program gets the notice as one JSON document on its standard input, and nothing of it as an argument. */
async function byCommand(hands: Hands, { alert, because }: Notice): Promise<void> {
  const { probe, act, say } = hands;
  const command = await commandOf(hands);
  if (command === undefined) return;
  const why = isCommandAllowed(probe, command)
    ? refusal(hands, command[0] ?? "")
    : `shared.cfg also comes from other hosts, and this command was not allowed on ${probe.host}: ${ALLOW_COMMAND.join(" ")}`;
  if (why !== undefined) {
    say.line(`alerts.command was not run: ${why}`);
    return;
  }
  const { host } = probe;
  const at = new Date(probe.now()).toISOString();
  const ran = await act.run(command, {
    input: `${JSON.stringify({ schema: 1, host, at, because, alert })}\n`,
    timeout: COMMAND_LIMIT,
    keep: 4096,
  });
  if (ran.timedOut) say.line(`alerts.command did not end within ${COMMAND_LIMIT / 1000} s`);
  else if (ran.code !== 0) say.line(`alerts.command ended with ${ran.code}`);
}

async function commandOf({ probe, say }: Hands): Promise<Config["alerts"]["command"]> {
  try {
    return (await readConfig(probe)).alerts.command;
  } catch {
    say.line("shared.cfg can't be used, so alerts.command is not known");
    return undefined;
  }
}

/**
 * Why a program is not started; undefined where it may be. shared.cfg and agents/ also come from the other host, so what stands in the home, or what
 * others than root and the home's owner may change, is no program of this host's operator.
 */
export function refusal({ probe }: Pick<Hands, "probe">, path: string): string | undefined {
  const real = probe.real(path);
  const entry = real === undefined ? undefined : probe.stat(real);
  if (real === undefined || entry?.kind !== "file") return `${path} is not there`;
  if ((entry.mode & 0o111) === 0) return `${path} is not executable`;
  const home = probe.real(probe.home) ?? probe.home;
  if (real.startsWith(`${home}/`)) return `${path} stands in the home, where the other host writes`;
  if (entry.uid !== 0 && entry.uid !== probe.owner.uid) return `${path} belongs to somebody else`;
  if ((entry.mode & 0o022) !== 0) return `${path} may be changed by others`;
  return undefined;
}
