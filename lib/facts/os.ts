/** The operating system: os-release and the kernel's own words. */
import { filled } from "./text.ts";

/** What os-release(5) tells. */
export interface OsRelease {
  /** e.g. "debian", "kali"; "linux" where the file does not say, as the standard has it. */
  readonly id: string;
  /** Distributions that it is like, nearest first. */
  readonly like: readonly string[];
  readonly name: string;
  readonly version?: string;
  readonly codename?: string;
}

/** Reads /etc/os-release. Quotes and backslashes as os-release(5) allows; nothing is expanded or run. */
export function parseOsRelease(text: string): OsRelease {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    const pair = /^([A-Z0-9_]+)=(.*)$/.exec(line.trim());
    if (pair) found.set(pair[1] ?? "", unquote(pair[2] ?? ""));
  }
  const id = filled(found.get("ID"))?.toLowerCase() ?? "linux";
  const version = filled(found.get("VERSION_ID"));
  const codename = filled(found.get("VERSION_CODENAME"));
  return {
    id,
    like: (found.get("ID_LIKE") ?? "").toLowerCase().split(/\s+/).filter(Boolean),
    name: filled(found.get("PRETTY_NAME")) ?? filled(found.get("NAME")) ?? id,
    ...(version === undefined ? {} : { version }),
    ...(codename === undefined ? {} : { codename }),
  };
}

/** True for Debian and what is built from it: where apt and dpkg are. */
export function isDebianLike(os: Pick<OsRelease, "id" | "like">): boolean {
  return os.id === "debian" || os.like.includes("debian");
}

function unquote(text: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$|^'([^']*)'$/.exec(text);
  if (!quoted) return text.replace(/\\(.)/g, "$1");
  return quoted[2] ?? (quoted[1] ?? "").replace(/\\(["\\$`])/g, "$1");
}
