/** Bare Debian roots for the lab: bootstrapped once per release, kept as an archive, unpacked fresh for each host. */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Debian releases that a lab host can run. */
export type Release = "bookworm" | "trixie";

/** What makes a minimal root boot, and nothing that a script of ours would want. */
const BOOTS = ["systemd", "systemd-sysv", "dbus"];
/** Days after which an archive is made anew: a mirror moves on. */
const ARCHIVE_DAYS = 14;

/** Where the lab unpacks and keeps things; the test command sets both. */
const runFolder = () => process.env["SHELTER_TEST_RUN"] ?? tmpdir();
const cacheFolder = () =>
  process.env["SHELTER_TEST_CACHE"] ??
  join(process.env["HOME"] ?? "/root", ".cache", "mountain-shelter-tests");

/**
 * A fresh root of `release` with `include` installed, as a folder that is the caller's to remove. About a minute and a half when nothing
 * is kept, seconds else.
 */
export async function freshRoot(release: Release, include: readonly string[]): Promise<string> {
  const archive = await archiveOf(release, include);
  const root = mkdtempSync(join(runFolder(), `shelter-root-${release}-`));
  await must([
    "tar",
    "--extract",
    "--numeric-owner",
    "--xattrs",
    "--file",
    archive,
    "--directory",
    root,
  ]);
  return root;
}

async function archiveOf(release: Release, include: readonly string[]): Promise<string> {
  const packages = [...new Set([...BOOTS, ...include])].sort();
  const key = createHash("sha256").update(packages.join(",")).digest("hex").slice(0, 12);
  const folder = join(cacheFolder(), "lab");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const archive = join(folder, `${release}-${key}.tar`);
  if (existsSync(archive) && (Date.now() - statSync(archive).mtimeMs) / 86_400_000 < ARCHIVE_DAYS) {
    return archive;
  }
  const building = mkdtempSync(join(runFolder(), `shelter-debootstrap-${release}-`));
  try {
    const mirror = await mirrorOf();
    await must(
      [
        "debootstrap",
        "--variant=minbase",
        `--include=${packages.join(",")}`,
        release,
        join(building, "root"),
        mirror,
      ],
      { DEBIAN_FRONTEND: "noninteractive", ...(await proxyOf()) },
    );
    for (const index of ["var/cache/apt/archives", "var/lib/apt/lists"]) {
      for (const name of readdirSync(join(building, "root", index))) {
        rmSync(join(building, "root", index, name), { recursive: true, force: true });
      }
    }
    const part = `${archive}.${process.pid}.part`;
    const from = join(building, "root");
    await must([
      "tar",
      "--create",
      "--numeric-owner",
      "--xattrs",
      "--file",
      part,
      "--directory",
      from,
      ".",
    ]);
    renameSync(part, archive);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
  return archive;
}

/** The Debian mirror that this machine's own apt uses. It is asked for, never written down. */
async function mirrorOf(): Promise<string> {
  const said = await must([
    "apt-get",
    "indextargets",
    "--format",
    "$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)",
    "Created-By: Packages",
  ]);
  const rows = said
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([uri = "", codename = ""]) => /^https?:/.test(uri) && !codename.includes("-"));
  // before `apt-get update` no origin is known: then the archive is told by its last folder
  const found =
    rows.find(([uri = "", , component]) => component === "main" && /\/debian\/?$/.test(uri)) ??
    rows.find(([, , component, origin]) => component === "main" && origin === "Debian");
  if (!found?.[0]) throw new Error("apt knows no Debian mirror: see /etc/apt/sources.list");
  return found[0];
}

/** debootstrap does not read apt's proxy. */
async function proxyOf(): Promise<Record<string, string>> {
  const said = await must(["apt-config", "dump", "--format", "%f=%v%n", "Acquire::http::Proxy"]);
  const proxy = /^Acquire::http::Proxy=(.+)$/m.exec(said)?.[1];
  return proxy === undefined ? {} : { http_proxy: proxy };
}

/** Runs a program that must succeed. @returns what it printed. */
export async function must(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = Bun.spawn([...argv], {
    env: { ...process.env, LC_ALL: "C.UTF-8", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) === 0) return stdout;
  const tail = `${stdout}\n${stderr}`.trim().split("\n").slice(-15).join("\n");
  throw new Error(`${argv.join(" ")} ended with ${child.exitCode ?? child.signalCode}:\n${tail}`);
}
