/** `shelter serve`: the engine in the foreground, on loopback, with a key of its own, until it is told to stop. */
import { dirname } from "node:path";
import { print } from "../cli/output.ts";
import { onSignals } from "../cli/signals.ts";
import { layout } from "../cli.ts";
import { EXIT, Interrupted, ShelterError, UsageError } from "../errors.ts";
import { takeLock } from "../keep/lock.ts";
import { withGovernor } from "../llm/governor.ts";
import { startServer } from "../llm/server.ts";
import { createAct } from "../machine/act.ts";
import { commandLine, duration, printable } from "../report/text.ts";
import { createVoice } from "../report/voice.ts";
import type { CallContext } from "../unit.ts";
import { asJson, countOf, textOf, type Command, type Desk } from "./desk.ts";
import { engineFor, servingPath, type Serving } from "./engine_of.ts";
import { SERVE_LOCK } from "./names.ts";

export const serve: Command = async (desk) => {
  const { machine, probe, want } = desk;
  const act = createAct(machine, probe);
  const say = await createVoice({
    json: want["json"] === true,
    verbose: want["verbose"] === true,
    env: process.env,
  });
  const signal = onSignals(() => undefined);
  const context: CallContext = { probe, act, say, signal };
  const port = portOf(desk);
  const engine = await engineFor(probe, textOf(want, "model"));
  const lock = await takeLock(probe, act, SERVE_LOCK, { script: "08_shelter_cli" });
  if ("busy" in lock) {
    return {
      exit: EXIT.locked,
      json: asJson({
        schema: 1,
        host: probe.host,
        outcome: "locked",
        pid: lock.busy.pid,
        since: lock.busy.since,
      }),
      lines: [`Already serving: process ${lock.busy.pid}, for ${duration(lock.age)}`],
    };
  }
  try {
    return await withGovernor(context, async () => {
      const server = await startServer(context, {
        ...engine,
        ...(port === undefined ? {} : { port }),
      });
      const serving: Serving = {
        url: server.url,
        keyFile: server.keyFile,
        model: engine.model.name,
        build: engine.build.id,
      };
      try {
        act.makeFolder(dirname(servingPath(probe)));
        act.write(servingPath(probe), `${JSON.stringify(serving)}\n`, 0o600);
        announce(desk, serving, server.pid, server.readyMs);
        const how = await Promise.race([server.ended, aborted(signal)]);
        if (how) {
          throw new ShelterError(
            "engine-died",
            `serving ${engine.model.name}`,
            `the engine ended with ${how.signal ?? `code ${how.code}`}`,
            ["./bin/03_build_llama_cpp", "--verify"],
          );
        }
      } finally {
        act.remove(servingPath(probe));
        await server.stop();
      }
      const told = signal.reason instanceof Interrupted && signal.reason.why.includes("SIGTERM");
      return { exit: told ? 0 : EXIT.interrupted, json: null, lines: [] };
    });
  } catch (error) {
    if (!(signal.aborted && signal.reason instanceof Interrupted)) throw error;
    return {
      exit: EXIT.interrupted,
      json: asJson({ schema: 1, host: probe.host, outcome: "interrupted" }),
      lines: ["Interrupted before it was ready"],
    };
  } finally {
    await lock.release();
  }
};

/** Said once it has really answered; with `--json` it is the one document of this command. */
function announce({ probe, want }: Desk, serving: Serving, pid: number, readyMs: number): void {
  if (want["json"] === true) {
    const document = {
      schema: 1,
      host: probe.host,
      outcome: "changed",
      url: `${serving.url}/v1`,
      key_file: serving.keyFile,
      model: serving.model,
      build: serving.build,
      pid,
      ready_ms: Math.round(readyMs),
    };
    print(JSON.stringify(document, null, 2));
    return;
  }
  const { paint } = layout(false);
  const file = commandLine([serving.keyFile]);
  print(
    [
      `${paint("accent_gold", `${printable(serving.model)} serves at ${serving.url}/v1`)}  ${paint("taupe", `OpenAI-compatible, on loopback only, ready after ${duration(readyMs)}`)}`,
      `${paint("steel", "  Its key is in")} ${printable(file)}`,
      `${paint("steel", "  Try:")} curl -s ${serving.url}/v1/models -H @<(printf 'Authorization: Bearer %s' "$(cat ${printable(file)})")`,
      paint("taupe", "  Ctrl-C stops it"),
    ].join("\n"),
  );
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

function portOf({ want }: Desk): number | undefined {
  if (textOf(want, "port") === undefined) return undefined;
  const port = countOf(want, "port", 0);
  if (port <= 65_535) return port;
  throw new UsageError("usage", `--port ${port}`, "a port is at most 65535", [
    "./bin/shelter",
    "serve",
    "--help",
  ]);
}
