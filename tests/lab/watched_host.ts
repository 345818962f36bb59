/** A booted host of the lab with its services and its watcher, and what a test may do to it and see of it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "bun:test";
import { WATCHER, type Kind } from "../../lib/services/kind.ts";
import type { Entry } from "../../lib/keep/journal.ts";
import type { WatchState } from "../../lib/watch/state.ts";
import { bootHost, type LabHost } from "./host.ts";
import { ask, asRoot, giveBuildBefore, giveEngine, property } from "./served_host.ts";
import { HOME, PACKAGES, said, USER } from "./two_hosts.ts";

export const ENGINE = "shelter-engine.service";
export const GATEWAY = "shelter-gateway.service";
export const WATCHES = "shelter-watch.service";
export const TOP = "/usr/local/lib/mountain-shelter";
const STATE = `${HOME}/runtime/state/watch.json`;
/** What the operator's own command was told, and the desktop. */
const [TOLD, NOTIFIED] = [`${HOME}/told.jsonl`, `${HOME}/notified`];

/** Boots a host of one kind, with two builds of the engine; nothing is installed yet. */
export async function bootWatched(kind: Kind): Promise<Watched> {
  const host = await bootHost({ name: kind, release: "bookworm", include: PACKAGES, user: USER });
  try {
    await giveEngine(host, process.env["SHELTER_TEST_BIN"] ?? "bin");
    return new Watched(host, kind, await giveBuildBefore(host));
  } catch (error) {
    await host.stop();
    throw error;
  }
}

export class Watched {
  constructor(
    readonly host: LabHost,
    readonly kind: Kind,
    readonly builds: { readonly live: string; readonly before: string },
  ) {}

  readonly shell = (line: string) => said(this.host, ["sh", "-c", line]);
  readonly pidOf = (unit: string) => property(this.host, unit, "MainPID");
  readonly answers = async () => (await ask(this.host)).startsWith("200 ");
  readonly killEngine = async () =>
    said(this.host, ["kill", "-9", await property(this.host, ENGINE, "MainPID")]);

  /** Runs the script of this host's services as root. */
  readonly services = (...flags: readonly string[]) =>
    asRoot(this.host, WATCHER[this.kind], "--json", ...flags);

  /** Installs the services, as root. */
  async install(): Promise<void> {
    const ran = await this.services("--yes");
    const units = ["-u", ENGINE, "-u", GATEWAY, "-u", WATCHES];
    const log = ran.code === 0 ? "" : await said(this.host, ["journalctl", "--no-pager", ...units]);
    expect({ code: ran.code, said: ran.code === 0 ? "" : ran.stdout, log }).toEqual({
      code: 0,
      said: "",
      log: "",
    });
  }

  /** Gives the operator a command for alerts, allowed on this host, and a desktop, as far as the watcher looks at one. */
  async giveOperator(): Promise<void> {
    const program = (path: string, does: string) =>
      this.shell(`printf '#!/bin/sh\\n${does}\\n' >${path} && chmod 755 ${path}`);
    await program("/usr/local/bin/tell-me", `cat >>${TOLD}`);
    await program("/usr/bin/notify-send", `echo "$@" >>${NOTIFIED}`);
    await this.shell(
      `echo 'alerts: {command: [/usr/local/bin/tell-me]}' >${HOME}/shared.cfg && chown ${USER}: ${HOME}/shared.cfg`,
    );
    const allowed = await this.shelter("watch", "--allow-command");
    expect({ code: allowed.code, said: allowed.stderr }).toEqual({ code: 0, said: "" });
    await this.shell("mkdir -p -m 755 /run/user/1000 && touch /run/user/1000/bus");
  }

  /** Runs `shelter` as the home's owner. */
  readonly shelter = (...argv: readonly string[]) =>
    this.host.run([`${HOME}/bin/shelter`, ...argv], { as: USER });

  /** A healthy engine, and a watcher that remembers nothing. */
  async fresh(): Promise<void> {
    await said(this.host, ["systemctl", "stop", WATCHES]);
    await this.shell(`rm -f ${STATE}`);
    await said(this.host, ["systemctl", "reset-failed"]);
    await said(this.host, ["systemctl", "start", ENGINE, GATEWAY, WATCHES]);
    await this.until(90, "a healthy host", () => {
      const now = this.state();
      const { watched = 0, calmUntil = Infinity } = now?.memory ?? {};
      return now?.engine.state === "up" && now.gateway.state === "up" && watched >= calmUntil;
    });
  }

  /** The watcher's state on disk. */
  state(): WatchState | undefined {
    try {
      return JSON.parse(readFileSync(join(this.host.root, STATE), "utf8")) as WatchState;
    } catch {
      return undefined;
    }
  }

  /** What the watcher did, by the journal: the text of each act, oldest first. */
  acts(): readonly string[] {
    return this.#journal().flatMap((one) =>
      one.kind === "begin" ? [one.steps[0]?.text ?? ""] : [],
    );
  }

  /** How each of its acts ended. */
  outcomes(): readonly string[] {
    return this.#journal().flatMap((one) => (one.kind === "end" ? [one.outcome] : []));
  }

  /** Ids of the alerts that the operator's command was given. */
  told(): readonly string[] {
    return lines(join(this.host.root, TOLD)).map(
      (line) => (JSON.parse(line) as { alert: { id: string } }).alert.id,
    );
  }
  /** What the desktop was shown. */
  readonly notified = () => said(this.host, ["cat", NOTIFIED]);

  /** The engine as it runs for the services; the file is replaced, because a running program can't be written to. */
  readonly breakBuild = (build: string) =>
    this.shell(
      `cd ${TOP}/engine/${build}/bin && cp -a llama-server llama-server.kept && cp /bin/false new && mv new llama-server`,
    );
  readonly mendBuild = (build: string) =>
    this.shell(`cd ${TOP}/engine/${build}/bin && mv llama-server.kept llama-server`);

  async until(
    seconds: number,
    what: string,
    holds: () => Promise<boolean> | boolean,
  ): Promise<void> {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await Bun.sleep(500)) {
      if (await holds()) return;
    }
    const units = ["engine", "gateway", "watch", "act@*"].flatMap((one) => [
      "-u",
      `shelter-${one}`,
    ]);
    const log = await this.host.run(["journalctl", "--no-pager", "-n", "80", ...units]);
    const state = JSON.stringify(this.state());
    throw new Error(`${this.kind}: not within ${seconds} s: ${what}\n${state}\n${log.stdout}`);
  }

  /** The entries of the watcher's acts, oldest first. */
  #journal(): readonly Entry[] {
    const folder = join(this.host.root, HOME, "logs/journal", this.kind);
    return readdirSync(folder)
      .toSorted()
      .flatMap((name) => lines(join(folder, name)))
      .map((line) => JSON.parse(line) as Entry)
      .filter(({ script }) => script === "06_shelter_watch");
  }
}

function lines(path: string): readonly string[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  } catch {
    return [];
  }
}
