/** Asks the package registry about known holes in what we depend on. A hole fails; a registry that has no such service is said, not hidden. */

/** How the audit went. */
export type Audit =
  | { readonly state: "clean" }
  | { readonly state: "holes"; readonly packages: readonly string[] }
  | { readonly state: "unasked"; readonly why: string };

/** Runs `bun audit` in `folder`. `env` is for tests. Throws when its answer is neither a list of holes nor a refusal. */
export function audit(folder: string, env: Readonly<Record<string, string>> = {}): Audit {
  const ran = Bun.spawnSync([process.execPath, "audit", "--json"], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  const stdout = ran.stdout.toString().trim();
  const stderr = ran.stderr.toString().trim();
  if (stdout.startsWith("{")) {
    const found: unknown = JSON.parse(stdout);
    const packages = typeof found === "object" && found !== null ? Object.keys(found) : [];
    if (packages.length > 0) return { state: "holes", packages };
    if (ran.exitCode === 0) return { state: "clean" };
  }
  // bun 1.4.4: "error: POST <address> - <status>", or the name of a network error
  const refused = /^error: POST \S+ - (\d{3})/m.exec(stderr);
  if (refused) return { state: "unasked", why: `the registry answers HTTP ${refused[1]}` };
  if (/ConnectionRefused|FailedToOpenSocket|ENOTFOUND|Timeout|UnableToConnect/i.test(stderr)) {
    return { state: "unasked", why: "the registry can't be reached" };
  }
  throw new Error(`bun audit ended with ${ran.exitCode}: ${stderr || stdout}`);
}

if (import.meta.main) {
  const result = audit(process.cwd());
  if (result.state === "clean") console.log("audit: no known holes");
  else if (result.state === "holes") {
    console.error(`audit: known holes in ${result.packages.join(", ")} (bun audit tells more)`);
    process.exitCode = 1;
  } else {
    console.log(`audit: left out, ${result.why}. Use a registry with an audit service to have it.`);
    if (process.env["SHELTER_REQUIRE"]?.split(",").includes("audit")) process.exitCode = 1;
  }
}
