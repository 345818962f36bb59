/** What a child process may inherit. A list of what is allowed, because a list of what is dangerous is never complete. */

/**
 * Variables that are passed on: where things are, how to talk, which proxies and certificate authorities to trust.
 * BUN_OPTIONS, BUN_BE_BUN, NODE_OPTIONS, LD_PRELOAD, PYTHON*, GIT_* commands and the like are not here and so never reach a child.
 */
const PASSED = new Set([
  "HOME",
  "USER",
  "LOGNAME",
  "TERM",
  "COLORTERM",
  "NO_COLOR",
  "TMPDIR",
  "XDG_RUNTIME_DIR",
  "XDG_CACHE_HOME",
  "DBUS_SESSION_BUS_ADDRESS",
  "DISPLAY",
  "WAYLAND_DISPLAY",
  "SSH_AUTH_SOCK",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "all_proxy",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "ALL_PROXY",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "CURL_CA_BUNDLE",
  "REQUESTS_CA_BUNDLE",
  "PIP_CERT",
  "NODE_EXTRA_CA_CERTS",
  "GIT_SSL_CAINFO",
  "PIP_INDEX_URL",
  "PIP_DEFAULT_TIMEOUT",
  "NPM_CONFIG_REGISTRY",
  "npm_config_registry",
  "CCACHE_DIR",
  "SUDO_UID",
  "SUDO_GID",
  "SUDO_USER",
  "SHELTER_HOME",
]);

/** System folders come first, so that a name in a writable folder cannot stand in for a system tool. */
const SYSTEM_PATH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/**
 * The environment that children get. Locale is C.UTF-8 and zone UTC, so that what parsers read does not depend on the operator's settings.
 * For root the PATH is the system's alone; for others their own folders follow.
 */
export function scrubbedEnvironment(
  from: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(from)) {
    if (value !== undefined && PASSED.has(name)) kept[name] = value;
  }
  const own = (from["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/"));
  const root = process.getuid?.() === 0;
  kept["PATH"] = [...new Set([...SYSTEM_PATH, ...(root ? [] : own)])].join(":");
  kept["LANG"] = "C.UTF-8";
  kept["LC_ALL"] = "C.UTF-8";
  kept["TZ"] = "UTC";
  return kept;
}
