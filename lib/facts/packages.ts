/** What dpkg and apt say of packages. */

/** `--showformat` for dpkg-query that `parseInstalled` reads; dpkg-query puts the fields in place itself. */
export const INSTALLED_FORMAT = "${Package}\\t${Version}\\t${db:Status-Status}\\n";

/** Reads `dpkg-query -W -f INSTALLED_FORMAT …`: version by name, of what is installed whole. */
export function parseInstalled(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [name, version, status] = line.split("\t");
    if (name && version && status?.trim() === "installed") found.set(name, version);
  }
  return found;
}

/** What apt would do about a package. */
export interface Policy {
  readonly installed?: string;
  /** The version that it would install; left out where no source offers any. */
  readonly candidate?: string;
}

/** Reads `apt-cache policy NAME…` in the C locale. A name that apt never heard of is not in the map. */
export function parsePolicy(text: string): ReadonlyMap<string, Policy> {
  const found = new Map<string, Policy>();
  let name: string | undefined;
  for (const line of text.split("\n")) {
    const heading = /^([a-z0-9][a-z0-9+.-]*(?::[a-z0-9-]+)?):$/.exec(line);
    if (heading) {
      name = heading[1] ?? "";
      found.set(name, {});
    }
    const told = /^ {2}(Installed|Candidate): (\S+)$/.exec(line);
    if (name === undefined || !told || told[2] === "(none)") continue;
    const key = told[1] === "Installed" ? "installed" : "candidate";
    found.set(name, { ...found.get(name), [key]: told[2] });
  }
  return found;
}
