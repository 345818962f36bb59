/** `shelter watch`: all paired hosts live in the terminal; anywhere else it says once how they are. */
import { layout } from "../cli.ts";
import { onSignals } from "../cli/signals.ts";
import { ShelterError } from "../errors.ts";
import { allowCommand } from "../hosts/alert_command.ts";
import { configTrouble, readConfig } from "../hosts/config.ts";
import { inHome } from "../keep/home.ts";
import { createAct, type Act } from "../machine/act.ts";
import { createUptime } from "../machine/clock.ts";
import { pause } from "../machine/pause.ts";
import type { Probe } from "../machine/probe.ts";
import { askHost } from "../peer/ask.ts";
import { lastContact, noteContact } from "../peer/contact.ts";
import { printable } from "../report/text.ts";
import { takeScreen } from "../report/full_screen.ts";
import { paired } from "../trust/store.ts";
import type { Trust } from "../trust/offer.ts";
import { Gauge } from "../watch/gauge.ts";
import { screen, type HostView } from "../watch/screen.ts";
import { type Alert, readWatch } from "../watch/state.ts";
import { asJson, type Command, type Desk, type Spoken } from "./desk.ts";

/** Milliseconds between two pictures, and between two questions to another host. */
const REDRAW = 1000;
const ASK = 10_000;

/** `shelter watch` */
export const watch: Command = async (desk) => {
  const { machine, probe, want } = desk;
  const act = createAct(machine, probe);
  if (want["again"] === true) return tryAgain(probe, act);
  if (want["allow-command"] === true) return allowAlerts(probe, act);
  const live = process.stdout.isTTY && process.stdin.isTTY && want["json"] !== true;
  return live ? await showLive(desk, act) : await sayOnce(desk, act);
};

/** Leaves the operator's wish for the watcher, which hears it within seconds. */
function tryAgain(probe: Probe, act: Act): Spoken {
  const state = readWatch(probe);
  if (!state) {
    throw new ShelterError("no-watcher", "trying again", "no watcher has run in this home yet", [
      "./bin/shelter",
      "next",
    ]);
  }
  act.write(inHome.watchAgain(probe.home), "", 0o600);
  const halted = "damaged" in state ? [] : state.halted.map(({ id }) => id);
  const told = halted.length > 0 ? halted.join(" and ") : "nothing at the moment";
  return {
    exit: 0,
    json: asJson({ schema: 1, host: probe.host, outcome: "changed", given_up: halted }),
    lines: [`The watcher tries again what it gave up: ${told}`],
  };
}

/** Lets the watcher run the command that shared.cfg names, as it stands there now, on this host. */
async function allowAlerts(probe: Probe, act: Act): Promise<Spoken> {
  const { command } = (await readConfig(probe)).alerts;
  if (command === undefined) {
    const why = "shared.cfg names none (alerts.command)";
    throw new ShelterError("no-command", "allowing the command for alerts", why);
  }
  allowCommand(probe, act, command);
  return {
    exit: 0,
    json: asJson({ schema: 1, host: probe.host, outcome: "changed", allowed: [...command] }),
    lines: [
      `Alerts on ${probe.host} may run: ${printable(JSON.stringify(command))}`,
      "A change of it in shared.cfg, on any host, must be allowed here again.",
    ],
  };
}

async function sayOnce({ probe }: Desk, act: Act): Promise<Spoken> {
  const views = [
    await here(probe),
    ...(await Promise.all(paired(probe).map((peer) => askView(probe, act, peer)))),
  ];
  const { paint, columns } = layout(false);
  return {
    exit: 0,
    json: asJson({ schema: 1, host: probe.host, hosts: views }),
    lines: screen(views, { paint, columns, now: probe.now() }),
  };
}

/** Until q, Escape or Ctrl-C; the terminal is left as it was. */
async function showLive({ probe }: Desk, act: Act): Promise<Spoken> {
  const signal = onSignals(() => undefined);
  const uptime = await createUptime();
  const others = paired(probe).map((peer) => {
    const before: HostView = lastKnown(probe, peer.name, { reach: "asked" });
    const gauge = new Gauge(() => askView(probe, act, peer), ASK);
    return () => gauge.at(uptime().uptime) ?? before;
  });
  const { paint } = layout(false);
  const page = takeScreen(signal);
  try {
    while (!page.over.aborted) {
      const views = [await here(probe), ...others.map((view) => view())];
      const { columns } = page;
      page.draw(
        screen(views, { paint, columns, now: probe.now() }),
        paint("taupe", "q ends".slice(0, columns)),
      );
      await page.changed(pause(REDRAW, page.over));
    }
  } finally {
    page.leave();
  }
  return { exit: 0, json: null, lines: [] };
}

async function here(probe: Probe): Promise<HostView> {
  const state = readWatch(probe);
  const seen = await configAlerts(probe);
  const view: HostView = { name: probe.host, reach: "here", ...(seen.length > 0 ? { seen } : {}) };
  return state && !("damaged" in state) ? { ...view, watch: state } : view;
}

/** A shared.cfg that can't be used is no service's trouble, so no watcher tells of it. */
async function configAlerts(probe: Probe): Promise<readonly Alert[]> {
  const trouble = await configTrouble(probe);
  if (!trouble) return [];
  const { id, what, why, fix } = trouble;
  const changed = probe.stat(inHome.config(probe.home))?.mtime ?? probe.now();
  const since = new Date(changed).toISOString();
  return [{ id, level: "fail", since, count: 1, what: `${what}: ${why}`, ...(fix ? { fix } : {}) }];
}

async function askView(probe: Probe, act: Act, peer: Trust): Promise<HostView> {
  const asked = await askHost(probe, act, peer);
  if (!asked.answered) {
    return lastKnown(probe, peer.name, { reach: "gone", why: asked.failure.why });
  }
  const { word, clockOff } = asked;
  noteContact(probe, act, word);
  const { name } = peer;
  return { name, reach: "answers", clockOff, ...(word.watch ? { watch: word.watch } : {}) };
}

/** What a host last said, for while it says nothing. */
function lastKnown(probe: Probe, name: string, now: Pick<HostView, "reach" | "why">): HostView {
  const contact = lastContact(probe, name);
  const known = contact?.word.watch;
  return {
    name,
    ...now,
    ...(contact ? { lastSeen: contact.at } : {}),
    ...(known ? { watch: known } : {}),
  };
}
