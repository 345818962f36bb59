/**
 * The presets file of llama-server's router mode (v0.5.0, common/preset.cpp and tools/server/README.md): one section per model, keys are the command line's
 * without dashes. What its form can't hold is refused here, because the engine would read something else in silence. Pure.
 */
import { ShelterError } from "../errors.ts";
import { profileArguments } from "./profile_form.ts";
import type { Profile } from "./settings.ts";

/** One model as the router is to serve it. */
export interface Preset {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly profile: Profile;
}

/** How the router is to run. */
export interface RouterOptions {
  readonly presets: readonly Preset[];
  /** Loaded at once. */
  readonly first: string;
  /** MiB of prompts that an instance may keep in RAM; the engine's own 8192 would be more than small hosts have. */
  readonly promptCache: number;
}

/** A section named with ":" would get its tag in capitals, "*" and "default" are the router's own. */
const NAME = /^(?!default$)[A-Za-z0-9][A-Za-z0-9._+ -]{0,126}[A-Za-z0-9._+-]$|^[A-Za-z0-9]$/;
/** ";" and "#" end a value wherever they stand, and space around it is lost. */
const VALUE = /^(?! )[^;#\p{Cc}]*(?<! )$/u;

/** True for a model that the form can name. */
export function canBePreset(preset: Pick<Preset, "name" | "path">): boolean {
  return NAME.test(preset.name) && VALUE.test(preset.path);
}

/** The file's text. @throws ShelterError "preset-name" for a name or path that the form can't hold. */
export function presetsText({ presets, first, promptCache }: RouterOptions): string {
  const sections = presets.map((preset) => {
    if (!canBePreset(preset)) {
      throw new ShelterError(
        "preset-name",
        `serving ${preset.name}`,
        `the engine's presets can't hold its name or its path ${preset.path}`,
        ["mv", "--", preset.path, "another-name"],
      );
    }
    return [
      `[${preset.name}]`,
      `model = ${preset.path}`,
      ...settingsOf(preset.profile),
      `cache-ram = ${promptCache}`,
      `load-on-startup = ${preset.name === first}`,
      "stop-timeout = 5",
    ].join("\n");
  });
  return `version = 1\n\n${sections.join("\n\n")}\n`;
}

/** A command line as settings: a flag without a value is "true". */
function settingsOf(profile: Profile): readonly string[] {
  const words = profileArguments(profile);
  return words.flatMap((word, at) => {
    if (!word.startsWith("--")) return [];
    const value = words[at + 1];
    return [`${word.slice(2)} = ${value === undefined || value.startsWith("--") ? "true" : value}`];
  });
}
