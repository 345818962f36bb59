/** Programs on a lab host without root's installation and without a real engine: for what is between the hosts, not in them. */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { LabHost } from "./host.ts";
import { HOME, said, USER } from "./two_hosts.ts";

/** Where a host has the engine's stand-in, below its home. */
export const STAND_IN = "runtime/engine.js";

/** A scripted engine as one file, at the port of the real one; it answers "from <host>". `folder` is for what is made on the way. */
export async function standInEngine(folder: string): Promise<string> {
  const entry = join(folder, "engine.ts");
  const scripted = resolve(import.meta.dir, "../support/scripted_engine.ts");
  writeFileSync(
    entry,
    `import { scriptedEngine } from ${JSON.stringify(scripted)};
     const engine = scriptedEngine({ tokens: ["from ", process.argv[2]] });
     Bun.serve({ hostname: "127.0.0.1", port: 8771, idleTimeout: 0, fetch: async (request) => engine.dial(request.url, {
       method: request.method, headers: {}, signal: request.signal, body: await request.text() }) });`,
  );
  const { outputs } = await Bun.build({ entrypoints: [entry], target: "bun" });
  return (await outputs[0]?.text()) ?? "";
}

/** What can be started: words of the command, after the home's bin folder. */
const COMMANDS = {
  engine: ["shelter", "run", `${HOME}/${STAND_IN}`],
  gateway: ["shelter", "gateway", "run", "--home", HOME],
  watcher: ["06_phantom_watchdog", "run", "--home", HOME],
} as const;
type Program = keyof typeof COMMANDS;

/** The unit of each, by host and program: of one that has ended, the name stays taken for a while. */
const units = new Map<string, string>();
let started = 0;

/** Starts one as a unit of the host's owner, with `env` ("NAME=value") beside what it needs; one that runs is ended first. */
export async function start(
  host: LabHost,
  what: Program,
  env: readonly string[] = [],
): Promise<void> {
  await stop(host, what);
  const unit = `${what}-${++started}`;
  units.set(`${host.name} ${what}`, unit);
  const own = what === "engine" ? ["BUN_BE_BUN=1"] : [];
  const [name, ...words] = COMMANDS[what];
  await said(host, [
    ...["systemd-run", "--quiet", "--collect", `--unit=${unit}`, `--uid=${USER}`],
    ...[`HOME=/home/${USER}`, ...own, ...env].map((one) => `--setenv=${one}`),
    ...[`${HOME}/bin/${name}`, ...words, ...(what === "engine" ? [host.name] : [])],
  ]);
}

/** Ends one, and waits for its end. */
export async function stop(host: LabHost, what: Program): Promise<void> {
  const unit = units.get(`${host.name} ${what}`);
  if (unit !== undefined) await host.run(["systemctl", "stop", unit]);
}
