/** The parts that all units share: their form, and what their programs are shut off from. Pure. systemd.exec(5), systemd.resource-control(5). */

/** Variables that load code into Bun or any program before its first line. */
export const SCRUBBED =
  "BUN_OPTIONS BUN_BE_BUN BUN_INSPECT NODE_OPTIONS LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT";

/** Characters that a path may have here: what systemd gives a meaning of its own (quotes, "%", "$", ":") is refused by the unit's diagnosis. */
export const PLAIN_PATH = /^\/[\p{L}\p{N} /._@+,~()-]*$/u;

/**
 * What none of them needs. Not here: MemoryDenyWriteExecute, which ends every program with a JIT (measured with Bun), and LimitAS, which ends Bun at
 * its start.
 */
export const SANDBOX: readonly string[] = [
  "NoNewPrivileges=yes",
  "CapabilityBoundingSet=",
  "AmbientCapabilities=",
  "ProtectSystem=strict",
  "PrivateTmp=yes",
  "ProtectKernelTunables=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelLogs=yes",
  "ProtectControlGroups=yes",
  "ProtectClock=yes",
  "ProtectHostname=yes",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "RemoveIPC=yes",
  "SystemCallArchitectures=native",
  "SystemCallFilter=@system-service",
  "SystemCallErrorNumber=EPERM",
];

/** Of all homes only the shelter's is there, read-only but for what is named. */
export function homeOf(
  { home, elsewhere }: { readonly home: string; readonly elsewhere: readonly string[] },
  { write, hide }: { readonly write: readonly string[]; readonly hide: readonly string[] },
): readonly string[] {
  return [
    "ProtectHome=tmpfs",
    ...[home, ...elsewhere].map((path) => `BindReadOnlyPaths="${path}"`),
    ...write.map((name) => `BindPaths="${home}/${name}"`),
    ...hide.map((name) => `InaccessiblePaths="-${home}/${name}"`),
  ];
}

/** A GPU's devices by their names in /proc/devices; without one, none but the harmless. */
export function devices(gpu: boolean): readonly string[] {
  if (!gpu) return ["PrivateDevices=yes"];
  return ["DevicePolicy=closed", "DeviceAllow=char-nvidia* rw", "DeviceAllow=char-drm rw"];
}

/** A unit's text from its sections. */
export function sections(of: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(of)
    .map(([name, lines]) => `[${name}]\n${lines.join("\n")}\n`)
    .join("\n");
}
