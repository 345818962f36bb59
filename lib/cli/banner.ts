/** What the watcher has to say, at the head of every command: one small file is read, and a line or two go to stderr. */
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { Paint } from "../report/palette.ts";
import { commandLine, duration, printable } from "../report/text.ts";
import type { Alert, WatchState } from "../watch/state.ts";

/** The watcher's unit: where it is not installed, nobody misses the watcher's word. */
const UNIT = "/etc/systemd/system/shelter-watch.service";

/** Says it, where there is something to say to a person. A request of another host is answered without it. */
export async function sayBanner(probe: Probe, json: boolean): Promise<void> {
  if (json || process.env["SSH_ORIGINAL_COMMAND"] !== undefined) return;
  if (probe.stat(inHome.watch(probe.home)) === undefined) return;
  const { isStale, readWatch } = await import("../watch/state.ts");
  const state = readWatch(probe);
  if (!state || "damaged" in state) return; // 00_check_structure looks after files
  const { painter, wantsColour } = await import("../report/palette.ts");
  const paint = painter(wantsColour(process.stderr.isTTY, process.env));
  const stale = isStale(state, probe.now());
  const lines = bannerLines(state, stale, probe.stat(UNIT) !== undefined, probe.now(), paint);
  if (lines.length > 0) process.stderr.write(`${lines.join("\n")}\n`);
}

/** The gravest alert, and how many more there are. Of a watcher that fell silent, only that. Pure. `now` in milliseconds since 1970. */
export function bannerLines(
  state: Pick<WatchState, "at" | "alerts">,
  stale: boolean,
  installed: boolean,
  now: number,
  paint: Paint,
): readonly string[] {
  const more = commandLine(["./bin/shelter", "status"]);
  const ago = (at: string) => duration(Math.max(0, now - Date.parse(at)));
  if (stale) {
    if (!installed) return [];
    return [paint("copper", `! The watcher has said nothing for ${ago(state.at)}: ${more}`)];
  }
  const alerts = state.alerts.filter((one) => one.level !== "info");
  const worst = alerts.find((one) => one.level === "fail") ?? alerts[0];
  if (!worst) return [];
  const rest = alerts.length - 1;
  return [
    paint(worst.level === "fail" ? "rust" : "copper", printable(line(worst, ago(worst.since)))),
    ...(rest > 0 ? [paint("taupe", `  and ${rest} more: ${more}`)] : []),
  ];
}

function line({ what, count, fix }: Alert, ago: string): string {
  const often = count > 1 ? `, ${count} times of late` : "";
  const next = fix ? `  ${commandLine(fix)}` : "";
  return `! ${what} (for ${ago}${often})${next}`;
}
