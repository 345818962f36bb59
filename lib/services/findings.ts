/** What installing the services has to say. Pure. */
import { bytes } from "../report/text.ts";
import type { Finding } from "../unit.ts";
import type { ServicesFacts } from "./facts.ts";
import { WATCHER, type Kind } from "./kind.ts";
import { ENGINE_UNIT, GATEWAY_UNIT, TOP } from "./places.ts";
import { PLAIN_PATH } from "./sandbox.ts";

/** Blocks where the services can't be what they must be, and says how they stand. */
export function diagnoseServices(facts: ServicesFacts, kind: Kind): readonly Finding[] {
  if (facts.kind !== kind) return [wrongHost(facts, kind)];
  const fails = [
    ...(facts.systemd ? [] : [NO_SYSTEMD]),
    ...(facts.topIsRoots ? [] : [OPEN_TOP]),
    ...homeFindings(facts),
    ...(facts.program ? [] : [noProgram(facts)]),
    ...engineFindings(facts),
  ];
  if (fails.length > 0) return fails;
  return [
    ...standing(facts),
    ...facts.units.filter(({ falling }) => falling).map(({ name }) => falls(name)),
    ...(facts.givenUp ? [givenUp(facts, kind)] : []),
    ...releaseGivenUp(facts, kind),
  ];
}

function wrongHost({ host, kind, home }: ServicesFacts, asked: Kind): Finding {
  const hint =
    kind === "shadow"
      ? "it is called shadow or has that role in shared.cfg"
      : "it is not called shadow, and shared.cfg gives it no role of that name";
  return {
    id: "other-hosts-script",
    level: "fail",
    what: `${WATCHER[asked]} is for ${asked}, and ${host} is ${kind}'s kind of host`,
    why: `each host has one watcher; ${hint}`,
    evidence: `${home}/shared.cfg`,
    fix: ["sudo", `./bin/${WATCHER[kind]}`],
  };
}

const NO_SYSTEMD: Finding = {
  id: "no-systemd",
  level: "fail",
  what: "this host does not run systemd",
  why: "the services are its units: it starts, limits and revives them",
  evidence: "/run/systemd/system is not there",
  fix: ["ps", "-p", "1"],
};

const OPEN_TOP: Finding = {
  id: "top-writable",
  level: "fail",
  what: `${TOP} is not root's alone`,
  why: "what stands there is run by root: who can write there is root",
  evidence: "its owner or mode",
  fix: ["sudo", "rm", "-r", "--", TOP],
};

function homeFindings({ home, owner, paths }: ServicesFacts): readonly Finding[] {
  const findings: Finding[] = [];
  for (const path of paths.filter((one) => !PLAIN_PATH.test(one))) {
    findings.push({
      id: "home-path",
      level: "fail",
      what: `the path ${path} can't stand in a unit`,
      why: "systemd gives quotes, colons, percent and dollar signs a meaning of their own",
      evidence: "systemd.exec(5), BindPaths=",
      fix: ["mv", "--", path, "another-name"],
    });
  }
  if (owner.uid === 0) {
    findings.push({
      id: "home-of-root",
      level: "fail",
      what: `the home ${home} belongs to root`,
      why: "the services run as its owner, and a language model's programs must not run as root: make a user where there is none, clone the project as that user, and run up there",
      evidence: `owner of ${home}`,
      fix: ["adduser", "shelter"],
    });
  }
  return findings;
}

function noProgram({ programPath }: ServicesFacts): Finding {
  return {
    id: "no-program",
    level: "fail",
    what: "there is no compiled program to install",
    why: "a service runs one root-owned file, not a source tree that its owner can change",
    evidence: `${programPath} is not there`,
    fix: ["npx", "--yes", "bun", "run", "build"],
  };
}

function engineFindings({ missing, damaged }: ServicesFacts): readonly Finding[] {
  const findings: Finding[] = [];
  if (missing) {
    const { id, what, why, fix } = missing;
    const evidence = "runtime/llama.cpp/current, models/";
    findings.push({
      id,
      level: "fail",
      what: `${what}: ${why}`,
      why: "there would be nothing to serve",
      evidence,
      ...(fix ? { fix } : {}),
    });
  }
  if (damaged !== undefined) {
    findings.push({
      id: "engine-damaged",
      level: "fail",
      means: "corrupt",
      what: `${damaged} is not what was built`,
      why: "it would be installed for all to rely on",
      evidence: "build-info.json",
      fix: ["./bin/03_build_llama_cpp", "--verify"],
    });
  }
  return findings;
}

function standing({ units, memory, engines, serving }: ServicesFacts): readonly Finding[] {
  const whole = units.every((unit) => unit.sameFiles && unit.enabled && unit.active);
  if (!whole || !memory) return [];
  return [
    {
      id: "services-run",
      level: "ok",
      what: `engine, gateway and watcher run from release ${serving ?? "?"} with ${engines[0]?.id ?? "?"}; the engine may take ${bytes(memory.most)} for ${memory.models} model(s) at once`,
      why: "they start at boot and come back by themselves",
      evidence: `${units.map(({ name }) => name).join(", ")}; ${TOP}`,
    },
  ];
}

function falls(unit: string): Finding {
  return {
    id: `falls-${unit.replace(/\..*$/, "")}`,
    level: "warn",
    what: `${unit} ended a moment ago, and is about to be started anew`,
    why: "being ready once is no proof of a service: what ends again right after that is taken back",
    evidence: `systemctl show ${unit}: SubState=auto-restart`,
    fix: ["journalctl", "-u", unit, "-n", "50"],
  };
}

function givenUp({ engines }: ServicesFacts, kind: Kind): Finding {
  const [live, before] = engines;
  return {
    id: "engine-given-up",
    level: "warn",
    what: `the engine's service went back from ${live?.id ?? "the live build"} to ${before?.id ?? "the one before"}`,
    why: "the live build failed again and again, so the watcher gave it up; a run of this script takes it up again, or a new live build",
    evidence: `journalctl -u ${ENGINE_UNIT}`,
    fix: ["sudo", `./bin/${WATCHER[kind]}`],
  };
}

function releaseGivenUp({ installed, serving }: ServicesFacts, kind: Kind): readonly Finding[] {
  if (installed === undefined || serving === undefined || serving === installed) return [];
  return [
    {
      id: "release-given-up",
      level: "warn",
      what: `the services went back from release ${installed} to ${serving}, the one before`,
      why: "the gateway of the newer one failed again and again, so the watcher gave it up; a run of this script takes it up again, or a newer program",
      evidence: `journalctl -u ${GATEWAY_UNIT}`,
      fix: ["sudo", `./bin/${WATCHER[kind]}`],
    },
  ];
}
