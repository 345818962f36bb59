/** A booted host of the lab with an engine, a model and what the services need, as its operator would have it before they are installed. */
import {
  cpSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { engineHome } from "../support/engine_home.ts";
import type { LabHost, Said } from "./host.ts";
import { giveBinaries, HOME, said, USER } from "./two_hosts.ts";

/** Gives a host the live build of the engine and the small model, and the binaries where `bin` says where they are. */
export async function giveEngine(host: LabHost, bin?: string): Promise<void> {
  const engine = await engineHome();
  if (bin !== undefined) giveBinaries(host, bin);
  const home = join(host.root, HOME);
  for (const part of ["runtime/llama.cpp", "runtime/verified", "models"]) {
    cpSync(join(engine, part), join(home, part), { recursive: true, verbatimSymlinks: true });
  }
  provenAgain(home);
  await said(host, ["chown", "-R", `${USER}:${USER}`, `/home/${USER}`]);
}

/** A generation of the engine before the live one, proven too: the same programs under another id. The only two there are; returns both ids. */
export async function giveBuildBefore(
  host: LabHost,
): Promise<{ readonly live: string; readonly before: string }> {
  const folder = join(host.root, HOME, "runtime/llama.cpp");
  const live = readlinkSync(join(folder, "current"));
  const before = "b-000000000000";
  for (const name of readdirSync(folder)) {
    if (name.startsWith("b-") && name !== live) rmSync(join(folder, name), { recursive: true });
  }
  cpSync(join(folder, live), join(folder, before), { recursive: true });
  for (const [name, key] of [
    ["build-info.json", "id"],
    ["proof.json", "build"],
  ] as const) {
    const path = join(folder, before, name);
    const document = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    const older = "started" in document ? { started: "2020-01-01T00:00:00.000Z" } : {};
    writeFileSync(path, JSON.stringify({ ...document, [key]: before, ...older }));
  }
  await said(host, ["chown", "-R", `${USER}:${USER}`, `${HOME}/runtime/llama.cpp`]);
  return { live, before };
}

/** A copied file has another inode and time: its proof is told, so that nothing need be fetched here. */
function provenAgain(home: string): void {
  const folder = join(home, "runtime/verified");
  for (const name of readdirSync(folder)) {
    const { ino, mtimeMs, ctimeMs } = statSync(
      join(home, "models/sha256", name.replace(".json", "")),
    );
    const proof = JSON.parse(readFileSync(join(folder, name), "utf8")) as Record<string, unknown>;
    const ctime = "ctime" in proof ? { ctime: ctimeMs } : {};
    writeFileSync(
      join(folder, name),
      JSON.stringify({ ...proof, inode: ino, mtime: mtimeMs, ...ctime }),
    );
  }
}

/** Runs one of our names as root, as sudo would. */
export function asRoot(host: LabHost, name: string, ...flags: readonly string[]): Promise<Said> {
  return host.run([`${HOME}/bin/${name}`, ...flags, "--home", HOME], {
    env: { SUDO_UID: "1000", SUDO_GID: "1000", SUDO_USER: USER },
  });
}

/** One property of a unit, as `systemctl show` gives it. */
export async function property(host: LabHost, unit: string, name: string): Promise<string> {
  return (await said(host, ["systemctl", "show", "--value", `--property=${name}`, unit])).trim();
}

/** Asks through the host's gateway; status and answer, or why there is none. */
export async function ask(host: LabHost): Promise<string> {
  const code = `
    const key = (await Bun.file("${HOME}/runtime/services/gateway.key").text()).trim();
    const response = await fetch("http://127.0.0.1:8770/v1/chat/completions", { method: "POST",
      headers: { authorization: "Bearer " + key, "content-type": "application/json" },
      body: JSON.stringify({ messages: [{ role: "user", content: "Count from 1 to 20." }], max_tokens: 16, temperature: 0 }) });
    const said = await response.json();
    console.log(response.status, said.choices?.[0]?.message?.content ?? JSON.stringify(said));`;
  const ran = await host.run([`${HOME}/bin/shelter`, "-e", code], {
    as: USER,
    env: { BUN_BE_BUN: "1" },
  });
  return ran.stdout + ran.stderr;
}
