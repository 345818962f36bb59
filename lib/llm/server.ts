/** llama-server with one model: a port, a key and a log of its own. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { inHome } from "../keep/home.ts";
import type { CallContext } from "../unit.ts";
import { asOwner } from "./as_owner.ts";
import { launch, usualPatience, type Launched } from "./launch.ts";
import type { Profile, ServedModel, ServingBuild } from "./settings.ts";
import { profileArguments } from "./profile_form.ts";

export { complete } from "./complete.ts";

/** What to serve, and how. */
export interface ServeOptions {
  readonly build: ServingBuild;
  readonly model: Pick<ServedModel, "name" | "path" | "bytes">;
  readonly profile: Profile;
  /** Loopback port; a free one when left out. */
  readonly port?: number;
  /** A file with the key of the operator's own choice; it stays. A fresh one is made, and removed at the end, when left out. */
  readonly keyFile?: string;
  /** Milliseconds until it must have answered; five minutes and one second per 20 MB of model when left out. */
  readonly patience?: number;
}

/** An engine that serves one model. `stop` also removes a key that was made for it. */
export interface Server extends Launched {
  /** Its own log: no prompts and no answers at this verbosity. */
  readonly log: string;
}

/** Logs of earlier engines that are kept. */
const LOGS_KEPT = 10;

/** Starts llama-server and waits until it has really answered. @throws what `launch` throws. */
export async function startServer(context: CallContext, options: ServeOptions): Promise<Server> {
  const { probe, act, signal } = context;
  const { build, model, profile } = options;
  signal.throwIfAborted();
  const port = options.port ?? (await act.freePort());
  const id = randomBytes(6).toString("hex");
  const keyFile = options.keyFile ?? inHome.keys(probe.home, `engine-${id}`);
  if (options.keyFile === undefined) {
    act.makeFolder(inHome.keys(probe.home));
    act.write(keyFile, `${randomBytes(32).toString("hex")}\n`, 0o600);
  }
  const folder = inHome.work(probe.home, "server");
  act.makeFolder(folder);
  pruneLogs(context, folder);
  const log = inHome.work(probe.home, "server", `${id}.log`);
  const as = asOwner(probe, act);
  const argv = [
    ...as.argv,
    act.real(build.program("llama-server")),
    "--model",
    act.real(model.path),
    "--alias",
    model.name,
    "--host",
    "127.0.0.1",
    "--port",
    String(port),
    "--api-key-file",
    act.real(keyFile),
    "--cors-origins",
    "localhost",
    "--no-ui",
    "--offline",
    "--log-file",
    act.real(log),
    // 3 says what it does; 4 adds where the weights went, and no prompt either (5 would)
    "--log-verbosity",
    profile.gpuLayers === 0 ? "3" : "4",
    ...profileArguments(profile),
  ];
  const server = await launch(context, {
    argv,
    env: as.env,
    port,
    keyFile,
    model: { name: model.name, ask: false, profile },
    patience: options.patience ?? usualPatience(model.bytes),
    said: () => probe.text(log) ?? "",
    ...(options.keyFile === undefined ? { over: () => act.remove(keyFile) } : {}),
  });
  return { ...server, log };
}

/** Leaves room for one more among the logs that are kept. */
function pruneLogs({ probe, act }: CallContext, folder: string): void {
  const logs = probe.list(folder).flatMap((name) => {
    const entry = name.endsWith(".log") ? probe.stat(join(folder, name)) : undefined;
    return entry ? [entry] : [];
  });
  const oldest = logs.sort((a, b) => b.mtime - a.mtime).slice(LOGS_KEPT - 1);
  for (const { path } of oldest) act.remove(path);
}
