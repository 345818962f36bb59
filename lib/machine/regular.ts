/** Opening files that are files: a pipe in the place of one would be waited for without end, and a device may answer to being opened. */
import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";

/** Said of what is neither a file nor a folder. */
const NO_FILE = "a pipe, a socket or a device stands where a file should be";

/**
 * Opens the regular file at `path` (a real path, links followed) and never waits; the caller closes it. `mode` is of a file that is made.
 * @throws the system's error; ENXIO where a pipe, a socket or a device stands there, EISDIR where a folder does.
 */
export function openRegular(
  path: string,
  flags: number = constants.O_RDONLY,
  mode?: number,
): { readonly handle: number; readonly stats: Stats } {
  const { O_NONBLOCK, O_NOCTTY } = constants;
  let handle: number;
  try {
    handle = openSync(path, flags | O_NONBLOCK | O_NOCTTY, mode);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === "ENXIO"
      ? noFile("ENXIO", NO_FILE, path)
      : error;
  }
  const stats = fstatSync(handle);
  if (stats.isFile()) return { handle, stats };
  closeSync(handle);
  throw stats.isDirectory()
    ? noFile("EISDIR", "a folder stands where a file should be", path)
    : noFile("ENXIO", NO_FILE, path);
}

/** As the system would say it, so that it is told apart and worded as its errors are. */
function noFile(code: string, why: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(why), { code, path, syscall: "opening" });
}
