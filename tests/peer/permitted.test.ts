/** What a paired host may have run here, and what is for this host's own operator alone. */
import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../../lib/orchestra/commands.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { notForPeers, PEER_COMMANDS } from "../../lib/peer/permitted.ts";
import { sayToPeer } from "../../lib/peer/channel.ts";
import { readTrust } from "../../lib/trust/store.ts";
import { UNITS } from "../../scripts/table.ts";
import { FAKE_HOME } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { twoWorlds } from "../support/two_worlds.ts";

const kept = keptForEachTest();

/** What came of asking shadow, over the operator's key, to carry this out. */
async function asked(script: string, argv: readonly string[]) {
  const { phantom } = kept(twoWorlds());
  const probe = createProbe(phantom.machine, FAKE_HOME, "phantom");
  const act = createAct(phantom.machine, probe);
  const trust = readTrust(probe, "shadow");
  if (!trust) throw new Error("not paired");
  const input = `${JSON.stringify({ script, argv })}\n`;
  return sayToPeer(act, FAKE_HOME, trust, "operator", ["carry-out"], { input });
}

describe("is for this host's own operator to say:", () => {
  test.each([
    ["08_shelter_cli", ["watch", "--allow-command"]],
    ["08_shelter_cli", ["watch", "--json", "--allow-command=true"]],
    ["08_shelter_cli", ["--json", "watch", "--allow-command"]],
    ["08_shelter_cli", ["shelter", "watch", "--allow-command"]],
    ["08_shelter_cli", ["08_shelter_cli", "pair", "attic"]],
    ["08_shelter_cli", ["00_check_structure"]],
    ["08_shelter_cli", ["undo", "--all"]],
    ["08_shelter_cli", ["undo", "--all", "--forget"]],
    ["08_shelter_cli", ["--undo", "--all"]],
    ["08_shelter_cli", ["update", "--back"]],
    ["08_shelter_cli", ["logs", "--lines"]],
    ["08_shelter_cli", ["constructor"]],
    ...[
      "pair",
      "peer",
      "act",
      "gateway",
      "engine",
      "serve",
      "update",
      "migrate",
      "completions",
    ].map((name): [string, string[]] => ["08_shelter_cli", [name]]),
    ["08_shelter_cli", ["status", "--home", "/etc"]],
    ["08_shelter_pair", []],
    ["03_install_models", ["--describe", "/home/op/.ssh/id_ed25519"]],
    ["06_shadow_control", ["run"]],
    ["06_shadow_control", ["--json", "run"]],
    ["05_rsync_mirror", ["--take", "theirs", "bin/hosts/shadow"]],
    ["05_rsync_mirror", ["--take", "bin/hosts/shadow", "theirs"]],
    ["05_rsync_mirror", ["--take=theirs", "agents/../bin/hosts/shadow"]],
    ["05_rsync_mirror", ["--take=theirs", "./bin/hosts/shadow"]],
    ["05_rsync_mirror", ["--take=theirs", "--", "bin/hosts/shadow"]],
    ["05_rsync_mirror", ["--take=theirs", "--path=bin/hosts/shadow"]],
    ["00_check_structure", ["--host=other"]],
    ["00_check_structure", ["-x"]],
  ])("%s %j", async (script, argv) => {
    const { code, stdout, stderr } = await asked(script, argv);
    expect({ code, stdout }).toEqual({ code: 11, stdout: "" });
    expect(stderr).toContain("is not for a peer to say");
  });
});

describe("may be carried out for a peer:", () => {
  test.each([
    ["00_check_structure", []],
    ["02_scaffold_dirs", ["--plan", "--json"]],
    ["06_shadow_control", ["--undo", "--yes"]],
    ["03_install_models", ["--model", "a b;$(id)"]],
    ["03_install_models", ["mistral-7b-v0.3,smollm2", "--verbose"]],
    ["03_build_llama_cpp", ["--with=vulkan", "--jobs", "2"]],
    ["04_llm_benchmark", ["--tune", "--budget", "60", "--accept"]],
    ["05_rsync_mirror", ["--take", "theirs", "agents/scout/manifest.yaml"]],
    ["05_rsync_mirror", ["--take=mine", "shared.cfg", "--yes"]],
    ["09_iso_boot_setup", ["--help"]],
    ["08_shelter_cli", []],
    ["08_shelter_cli", ["--plan"]],
    ["08_shelter_cli", ["up", "--yes", "--question", "Is all well?"]],
    ["08_shelter_cli", ["undo", "03_install_models", "--json"]],
    ["08_shelter_cli", ["logs", "--lines", "20", "03_build_llama_cpp"]],
    ["08_shelter_cli", ["watch", "--again"]],
  ])("%s %j", async (script, argv) => {
    expect(await asked(script, argv)).toMatchObject({
      code: 0,
      stdout: `${script} ${argv.join(" ")}\n`,
    });
  });
});

test("of each flag of a script and of a shown command it is decided whether a peer may say it", async () => {
  const refused: string[] = [];
  const look = (script: string, name: string, before: readonly string[], type: string) => {
    const word = type === "string" ? [`--${name}`, "x"] : [`--${name}`];
    const flag = type === "positional" ? ["mine"] : word;
    if (notForPeers(script, [...before, ...flag]) !== undefined)
      refused.push([script, ...before, name].join(" "));
  };
  for (const [script, load] of Object.entries(UNITS)) {
    const flags = (await load?.())?.unit.flags ?? {};
    for (const [name, { type }] of Object.entries(flags)) look(script, name, [], type);
  }
  for (const { name: command, flags } of COMMANDS) {
    if (!PEER_COMMANDS.includes(command)) continue;
    for (const [name, { type }] of Object.entries(flags)) {
      look("08_shelter_cli", name, [command], type);
    }
  }
  expect(refused).toEqual([
    "03_install_models describe",
    // its values are the pattern's, and "x" is none
    "05_rsync_mirror take",
    "08_shelter_cli undo all",
    "08_shelter_cli undo forget",
    "08_shelter_cli watch allow-command",
  ]);
  expect(COMMANDS.map(({ name }) => name).filter((one) => !PEER_COMMANDS.includes(one))).toEqual([
    ...["ask", "serve", "gateway", "engine", "act", "pair", "peer", "update", "migrate"],
    "completions",
  ]);
});

test("the operator's key doesn't change who the peer is: its keys and certificate come by the operator's own login alone", async () => {
  const { phantom } = kept(twoWorlds());
  const probe = createProbe(phantom.machine, FAKE_HOME, "phantom");
  const trust = readTrust(probe, "shadow");
  if (!trust) throw new Error("not paired");
  const act = createAct(phantom.machine, probe);
  const ran = await sayToPeer(act, FAKE_HOME, trust, "operator", ["exchange"], { input: "{}" });
  expect(ran).toMatchObject({ code: 11, stderr: expect.stringContaining("may not ask for") });
});
