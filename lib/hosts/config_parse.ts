/** From the text of shared.cfg to a checked Config, with the line of whatever is wrong. Pure. */
import {
  BUILD_TARGETS,
  DEFAULT_CONFIG,
  type BuildTarget,
  type Config,
  type ConfigNote,
  type ConfigReading,
  type Floor,
  type HostEntry,
  type Ports,
} from "./settings.ts";
import { Checker, type Table } from "./config_checker.ts";
import { HOST_NAME, RESERVED_HOST_NAMES } from "./name.ts";

const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/;
const WORD = /^[a-z][a-z0-9_-]{0,31}$/;
/** Never starts with "-": it becomes an argument of ssh and rsync. */
const ADDRESS = /^[A-Za-z0-9:][A-Za-z0-9.:%_-]{0,252}$/;
/** As useradd(8) takes them. */
const USER = /^[a-z_][a-z0-9_-]{0,31}$/;
/** One argument of a command. */
const WORDS = /^\P{Cc}{0,1000}$/u;
/** Control characters would break lines of logs and commands. */
const FOLDER = /^(?:\/|~\/)\P{Cc}*$/u;

/** Parses and checks. A file that is not one YAML mapping is "damaged"; a wrong value is "invalid" and named with its key and line. */
export async function parseConfig(text: string): Promise<ConfigReading> {
  const unreadable = notText(text);
  if (unreadable) return { state: "damaged", note: unreadable };
  const yaml = await import("yaml");
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, {
    lineCounter: lines,
    prettyErrors: true,
    logLevel: "error",
  });
  const broken = document.errors[0];
  if (broken) {
    const { line, col } = lines.linePos(broken.pos[0]);
    // the first line of the message says it; the rest draws the place
    const why = (broken.message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
    return { state: "damaged", note: { key: "", line, column: col, why } };
  }
  if (document.contents !== null && !yaml.isMap(document.contents)) {
    const start = yaml.isNode(document.contents) ? (document.contents.range?.[0] ?? 0) : 0;
    const { line, col } = lines.linePos(start);
    const why = "the file is not a list of `key: value` settings";
    return { state: "damaged", note: { key: "", line, column: col, why } };
  }
  let root: unknown;
  try {
    root = document.toJS() ?? {};
  } catch (error) {
    // aliases that multiply without end, or lead nowhere
    const why = error instanceof Error ? error.message : String(error);
    return { state: "damaged", note: { key: "", line: 1, column: 1, why } };
  }
  const check = new Checker(yaml, document, lines);
  const config = readRoot(check, root as Table);
  if (check.problems.length > 0) return { state: "invalid", problems: check.problems };
  return { state: "ok", config, unknown: check.unknown };
}

/** Bytes that no editor writes: what a power cut or a wrong file leaves. */
function notText(text: string): ConfigNote | undefined {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  const at = text.search(/[\u0000-\u0008\u000e-\u001f]/);
  if (at < 0) return undefined;
  const before = text.slice(0, at).split("\n");
  return {
    key: "",
    line: before.length,
    column: (before.at(-1) ?? "").length + 1,
    why: "there are bytes that are not text",
  };
}

function readRoot(check: Checker, root: Table): Config {
  const keys = ["hosts", "targets", "models", "retention", "work", "baselines", "ports", "alerts"];
  check.known(root, [], keys);
  const hosts = check.entries(root, ["hosts"]).map(([name, value]) => readHost(check, name, value));
  const targets = check
    .entries(root, ["targets"])
    .map(([name, value]) => readTarget(check, name, value, hosts));
  const retention = check.table(root, ["retention"]);
  check.known(retention, ["retention"], ["builds", "releases", "snapshots", "mirrors"]);
  const work = check.table(root, ["work"]);
  check.known(work, ["work"], ["max_age_days"]);
  const kept = DEFAULT_CONFIG.retention;
  return {
    hosts,
    targets: [
      ...DEFAULT_CONFIG.targets.filter(({ name }) => !targets.some((own) => own.name === name)),
      ...targets,
    ],
    models: check.texts(root, ["models"], MODEL_NAME, "a name of the model catalogue"),
    // below two there would be nothing to go back to
    retention: {
      builds: check.count(retention, ["retention", "builds"], 2, 100) ?? kept.builds,
      releases: check.count(retention, ["retention", "releases"], 2, 100) ?? kept.releases,
      snapshots: check.count(retention, ["retention", "snapshots"], 1, 1000) ?? kept.snapshots,
      mirrors: check.count(retention, ["retention", "mirrors"], 2, 100) ?? kept.mirrors,
    },
    work: {
      maxAgeDays:
        check.count(work, ["work", "max_age_days"], 1, 3650) ?? DEFAULT_CONFIG.work.maxAgeDays,
    },
    baselines: readFloors(check, root),
    ports: readPorts(check, root),
    alerts: readAlerts(check, root),
  };
}

function readAlerts(check: Checker, root: Table): Config["alerts"] {
  const path = ["alerts", "command"];
  const table = check.table(root, ["alerts"]);
  check.known(table, ["alerts"], ["command"]);
  const command = check.texts(table, path, WORDS, "text without line breaks");
  if (command.length === 0) return {};
  // no search: what is found on a PATH is decided by who sets it
  if (!command[0]?.startsWith("/")) check.problem([...path, 0], "an absolute path is wanted here");
  return { command };
}

function readPorts(check: Checker, root: Table): Ports {
  const table = check.table(root, ["ports"]);
  const usual = DEFAULT_CONFIG.ports;
  check.known(table, ["ports"], Object.keys(usual));
  // below 1024 only root may listen
  const port = (name: keyof Ports) =>
    check.count(table, ["ports", name], 1024, 65_535) ?? usual[name];
  const ports = { gateway: port("gateway"), engine: port("engine"), peers: port("peers") };
  if (new Set(Object.values(ports)).size < 3) check.problem(["ports"], "two of them are the same");
  return ports;
}

function readHost(check: Checker, name: string, value: unknown): HostEntry {
  const path = ["hosts", name];
  if (!HOST_NAME.test(name)) {
    check.problem(path, "a host's name is made of a-z, 0-9 and -, at most 63 characters");
  } else if (RESERVED_HOST_NAMES.has(name)) {
    check.problem(path, `"${name}" is a word of the shelter's own`);
  }
  const table = check.tableOf(value, path);
  check.known(table, path, ["address", "user", "hostname", "target", "roles", "home"]);
  const address = check.text(table, [...path, "address"], ADDRESS, "a host name or an address");
  const user = check.text(table, [...path, "user"], USER, "a user's name");
  const hostname = check.text(table, [...path, "hostname"], ADDRESS, "a system's host name");
  const home = check.text(table, [...path, "home"], FOLDER, 'a folder, from "/" or "~/"');
  return {
    name,
    target: check.oneOf(table, [...path, "target"], BUILD_TARGETS) ?? "bun-linux-x64",
    roles: check.texts(table, [...path, "roles"], WORD, "a word"),
    ...(address === undefined ? {} : { address }),
    ...(user === undefined ? {} : { user }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(home === undefined ? {} : { home }),
  };
}

function readTarget(
  check: Checker,
  name: string,
  value: unknown,
  hosts: readonly HostEntry[],
): { name: string; target: BuildTarget } {
  const path = ["targets", name];
  if (!HOST_NAME.test(name)) check.problem(path, "a target's name is made of a-z, 0-9 and -");
  if (hosts.some((host) => host.name === name)) {
    check.problem(path, "a host has this name: set the host's own `target`");
  }
  return { name, target: check.chosen(value, path, BUILD_TARGETS) ?? "bun-linux-x64-baseline" };
}

function readFloors(check: Checker, root: Table): Floor[] {
  return check.entries(root, ["baselines"]).flatMap(([host, models]) =>
    check.entriesOf(models, ["baselines", host]).map(([model, value]) => {
      const path = ["baselines", host, model];
      const table = check.tableOf(value, path);
      check.known(table, path, ["prompt", "generation"]);
      const prompt = check.rate(table, [...path, "prompt"]);
      const generation = check.rate(table, [...path, "generation"]);
      return {
        host,
        model,
        ...(prompt === undefined ? {} : { prompt }),
        ...(generation === undefined ? {} : { generation }),
      };
    }),
  );
}
