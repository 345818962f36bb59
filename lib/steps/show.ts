/** A step in words, for reports and the journal. Contents are shown as size and hash, secrets as their names. */
import { sha256 } from "../machine/hash.ts";
import type { ShownStep, Step } from "../unit.ts";

/** One step as data that may be shown and kept. */
export function showStep(step: Step, done: boolean): ShownStep {
  return { do: step.do, text: stepText(step) + (step.why ? ` (${step.why})` : ""), done };
}

function stepText(step: Step): string {
  const octal = (mode: number) => mode.toString(8).padStart(4, "0");
  switch (step.do) {
    case "dir":
      return `make folder ${step.path}, mode ${octal(step.mode)}`;
    case "write":
      return typeof step.content === "string"
        ? `write ${step.path}, mode ${octal(step.mode)}, ${Buffer.byteLength(step.content)} bytes, sha256 ${sha256(step.content).slice(0, 12)}`
        : `write ${step.path}, mode ${octal(step.mode)}, a fresh secret "${step.content.secret}"`;
    case "attr":
      return `set ${[
        ...(step.mode === undefined ? [] : [`mode ${octal(step.mode)}`]),
        ...(step.owner === undefined ? [] : [`owner ${step.owner.uid}:${step.owner.gid}`]),
      ].join(" and ")} on ${step.path}`;
    case "move":
      return `move ${step.from} to ${step.to}`;
    case "remove":
      return `remove ${step.path}`;
    case "link":
      return `link ${step.path} to ${step.target}`;
    case "set":
      return `set ${step.path} to ${step.value}${step.temporary ? " for this run" : ""}`;
    case "fetch":
      return `fetch ${step.to}, ${step.bytes} bytes, sha256 ${step.sha256.slice(0, 12)}`;
    case "package":
      return `install ${step.install.join(" ")}`;
    case "service":
      return `${step.active ? "run" : "stop"} ${step.name}${step.enabled ? ", also after a boot" : ""}, files ${
        step.files
          .map((file) => `${file.path} (sha256 ${sha256(file.content).slice(0, 12)})`)
          .join(", ") || "as they are"
      }`;
    case "exec":
      return `run ${step.argv.join(" ")}`;
    case "call":
      return `${step.name.replaceAll("_", " ")}${Object.entries(step.args)
        .filter(([, value]) => typeof value !== "object")
        .map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
        .join("")}`;
  }
}

/** True where a step reaches beyond the home, so that a person is asked first. */
export function reachesBeyond(home: string, step: Step): boolean {
  const inside = (path: string) => path === home || path.startsWith(`${home}/`);
  switch (step.do) {
    case "package":
    case "service":
      return true;
    case "set":
      return !step.temporary;
    case "move":
      return !inside(step.from) || !inside(step.to);
    case "fetch":
      return !inside(step.to);
    case "exec":
    case "call":
      return "restore" in step.undo && step.undo.restore.some((path) => !inside(path));
    default:
      return !inside(step.path);
  }
}
