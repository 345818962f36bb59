/** zx, loaded so that nobody outside can set how it runs commands. */

/**
 * Loads zx. It takes settings from variables named ZX_…, such as a text that is put before each command line, when it is first loaded: what is in our own
 * environment must not become part of a command.
 */
export async function loadZx(): Promise<typeof import("zx")> {
  for (const name of Object.keys(process.env)) if (name.startsWith("ZX_")) delete process.env[name];
  return import("zx");
}
