/** Carries out one step. What it names was snapshotted before. */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { fetchVerified } from "../machine/sources.ts";
import type { AnyUnit, CallContext, Step } from "../unit.ts";
import { serviceMemo, setService } from "./services.ts";
import { installPackages, packageMemo } from "./packages.ts";

/** Where in a run a step stands. */
export interface Place {
  readonly run: string;
  /** See `roundId`. */
  readonly round: string;
  readonly step: number;
}

/** Where a removed folder waits until its snapshot is pruned. */
export function removedFolder(home: string, place: Place): string {
  return join(inHome.snapshots(home, place.run), `removed-${place.round}-${place.step}`);
}

/** Carries out `step`. Throws where it fails; the caller takes the run back. */
export async function carryOut(
  unit: AnyUnit,
  context: CallContext,
  step: Step,
  place: Place,
): Promise<void> {
  const { probe, act, say } = context;
  if (step.on !== undefined && step.on !== probe.host) {
    throw new ShelterError(
      "other-host",
      `a step on ${step.on}`,
      "acts on another host are not part of this build",
    );
  }
  switch (step.do) {
    case "dir": {
      act.makeFolder(step.path, step.mode);
      const now = probe.stat(step.path);
      if (now?.kind !== "dir") {
        throw new ShelterError(
          "not-a-folder",
          `making the folder ${step.path}`,
          "something else has that name",
        );
      }
      if (step.owner && (now.uid !== step.owner.uid || now.gid !== step.owner.gid))
        act.chown(step.path, step.owner);
      if (now.mode !== step.mode) act.chmod(step.path, step.mode);
      return;
    }
    case "write": {
      act.makeFolder(dirname(step.path));
      const text =
        typeof step.content === "string" ? step.content : randomBytes(32).toString("hex");
      act.write(step.path, text, step.mode);
      return;
    }
    case "attr":
      act.setAttributes(step.path, step);
      return;
    case "move":
      act.makeFolder(dirname(step.to));
      act.rename(step.from, step.to);
      return;
    case "remove":
      if (probe.stat(step.path)?.kind === "dir")
        act.rename(step.path, removedFolder(probe.home, place));
      else act.remove(step.path);
      return;
    case "link":
      act.makeFolder(dirname(step.path));
      act.link(step.path, step.target);
      return;
    case "set":
      act.set(step.path, step.value);
      return;
    case "fetch":
      act.makeFolder(dirname(step.to));
      await fetchVerified(
        context,
        step.from,
        step.to,
        step.sha256,
        step.bytes,
        async (host, sha256, offset) => {
          const { modelCommand } = await import("../peer/model_source.ts");
          return modelCommand(probe, act, host, sha256, offset);
        },
      );
      return;
    case "package":
      await installPackages(
        context,
        step.install,
        packageMemo(probe.home, place.run, place.round, place.step),
      );
      return;
    case "service":
      await setService(context, step, serviceMemo(probe.home, place.run, place.round, place.step));
      return;
    case "exec": {
      const ran = await act.run(step.argv, {
        ...(step.cwd === undefined ? {} : { cwd: step.cwd }),
        signal: context.signal,
        onLine: (line) => say.detail({ output: line }),
      });
      context.signal.throwIfAborted();
      if (ran.code === 0) return;
      throw new ShelterError(
        "command-failed",
        `running ${step.argv.join(" ")}`,
        `it ended with ${ran.code}: ${ran.stderr.trim().split("\n").slice(-3).join(" ")}`,
      );
    }
    case "call": {
      const call = unit.calls?.[step.name];
      if (!call) throw new Error(`${unit.id} has no call named ${step.name}`);
      await call(context, step.args);
      return;
    }
  }
}
