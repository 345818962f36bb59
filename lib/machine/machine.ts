/** The one seam between the shelter and the world: what a real machine offers, and what a fake one must offer to stand in for it. */
import { readFileSync } from "node:fs";
import type { Owner } from "../unit.ts";
import { scrubbedEnvironment } from "./environment.ts";
import { spawnProcess, type Spawn } from "./process.ts";

/** The person at the keyboard. Under sudo `home` is the caller's, while `uid` is root's. */
export interface Me extends Owner {
  readonly user: string;
  readonly home: string;
  readonly root: boolean;
}

type SystemInformation = typeof import("systeminformation");

/** A machine: every read and every act of the shelter goes through one of these. */
export interface Machine {
  /** Put before each absolute path: "" on a real machine, a folder on a fake one. */
  readonly root: string;
  readonly me: Me;
  /** What children get: nothing that could load code into them. */
  readonly environment: Readonly<Record<string, string>>;
  readonly spawn: Spawn;
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  /** Facts that systeminformation reads. */
  readonly system: () => Promise<SystemInformation>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** False on a fake machine, where nothing must survive a power cut: fsync is left out there. */
  readonly durable: boolean;
  /** Set on a fake machine: answers a `probe.$` template's command line. The real machine uses zx. */
  readonly shell?: (
    commandLine: string,
  ) => Promise<{ code: number; stdout: string; stderr: string }>;
}

/** This machine, as the caller sees it. */
export function thisMachine(): Machine {
  keepLoopbackDirect();
  const environment = scrubbedEnvironment(process.env);
  return {
    root: "",
    me: whoAmI(),
    environment,
    spawn: spawnProcess,
    // a connection of its own for each request: the engine closes an idle one after 5 s, and one that is taken up again
    // at that very moment ends as a reset (measured amid tuning)
    fetch: (url, init) => fetch(url, { ...init, keepalive: false }),
    system: () => {
      inherit(environment);
      return import("systeminformation");
    },
    now: () => Date.now(),
    durable: true,
  };
}

/** systeminformation starts its programs by name with our own environment, so that becomes what children get. What is ours alone stays. */
function inherit(environment: Machine["environment"]): void {
  for (const name of Object.keys(process.env)) {
    if (!(name in environment) && !name.startsWith("SHELTER_")) delete process.env[name];
  }
  Object.assign(process.env, environment);
}

/** A proxy of the operator's must not see what goes to an engine on this machine: Bun sends loopback requests there too unless told (measured, 1.4.4). */
function keepLoopbackDirect(): void {
  for (const name of ["NO_PROXY", "no_proxy"]) {
    const listed = (process.env[name] ?? "").split(",").filter((one) => one.trim() !== "");
    process.env[name] = [...new Set([...listed, "127.0.0.1", "localhost", "::1"])].join(",");
  }
}

function whoAmI(): Me {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  const entry = passwdEntry(uid === 0 ? (process.env["SUDO_UID"] ?? "0") : String(uid));
  return {
    uid,
    gid,
    user: entry?.user ?? String(uid),
    home: entry?.home ?? process.env["HOME"] ?? "/",
    root: uid === 0,
  };
}

/** HOME is not asked first under sudo: some configurations leave root's there, some the caller's. */
function passwdEntry(uid: string): { user: string; home: string } | undefined {
  if (process.env["SUDO_UID"] === undefined && process.env["HOME"]) {
    return { user: process.env["USER"] ?? uid, home: process.env["HOME"] };
  }
  const line = readPasswd()
    .split("\n")
    .find((row) => row.split(":")[2] === uid);
  const fields = line?.split(":");
  return fields?.[0] && fields[5] ? { user: fields[0], home: fields[5] } : undefined;
}

function readPasswd(): string {
  try {
    return readFileSync("/etc/passwd", "utf8");
  } catch {
    return "";
  }
}
