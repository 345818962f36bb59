/** Every entry below some folders as lines, for comparing a machine before and after. */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/**
 * One line per entry of `folders` (relative to `root`): path, mode, owner, and a link's target or a file's hash. Of files below `large` the time of their
 * last change stands for the hash (ctime: no program can set it back).
 */
export function listing(
  root: string,
  folders: readonly string[],
  large: readonly string[] = [],
): readonly string[] {
  const lines: string[] = [];
  const look = (path: string) => {
    const real = join(root, path);
    const stats = lstatSync(real, { throwIfNoEntry: false });
    if (!stats) return;
    const facts = `${path} ${(stats.mode & 0o7777).toString(8)} ${stats.uid}:${stats.gid}`;
    if (stats.isSymbolicLink()) lines.push(`${facts} -> ${readlinkSync(real)}`);
    else if (stats.isDirectory()) {
      lines.push(`${facts} folder`);
      for (const name of readdirSync(real).sort()) look(join(path, name));
    } else if (stats.isFile() && large.some((folder) => path.startsWith(`${folder}/`))) {
      lines.push(`${facts} ${stats.size} bytes, changed ${stats.ctimeMs}`);
    } else if (stats.isFile()) {
      lines.push(`${facts} ${createHash("sha256").update(readFileSync(real)).digest("hex")}`);
    } else lines.push(`${facts} other`);
  };
  for (const folder of folders) look(folder);
  return lines;
}

/** What differs between two listings: lines that went with "-", lines that came with "+". */
export function difference(before: readonly string[], after: readonly string[]): readonly string[] {
  const [old, now] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !now.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !old.has(line)).map((line) => `+ ${line}`),
  ];
}
