/** Three booted hosts in a row, phantom - shadow - attic, paired two by two: what travels on from pair to pair, what does not, and what one that is gone means to the others. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { RunReport } from "../../lib/unit.ts";
import type { LabHost } from "./host.ts";
import { generationOn, halfIn, put, textIn } from "./mirrored.ts";
import { bootPairedHosts, connect, pairHosts, type TwoHosts } from "./two_hosts.ts";

const AGENT = "agents/scout/manifest.yaml";
const LOG = "logs/memory/phantom/00_check_structure/20260101-0000.log";

let lab: TwoHosts;
let attic: LabHost;
beforeAll(async () => {
  lab = await bootPairedHosts(process.env["SHELTER_TEST_BIN"] ?? "bin");
  attic = await lab.third();
  await pairHosts(lab, lab.shadow, attic);
}, 600_000);
afterAll(async () => {
  await lab.stop();
}, 120_000);

/** Mirrors from a host to all its pairs; gives the report and how it ended. */
async function mirror(host: LabHost): Promise<RunReport & { readonly code: number }> {
  const ran = await lab.shelter(host, ["05_rsync_mirror", "--json"]);
  return { ...(JSON.parse(ran.stdout) as RunReport), code: ran.code };
}

const status = async (host: LabHost) => {
  const { stdout, stderr } = await lab.shelter(host, ["shelter", "status"]);
  return stdout + stderr;
};

test("what both may write travels on from pair to pair, a host's own records go to its own pairs alone", async () => {
  put(lab.phantom, AGENT, "name: scout\n");
  put(lab.phantom, LOG, '{"line":"a"}\n');
  expect(await mirror(lab.phantom)).toMatchObject({ code: 0, outcome: "changed" });
  expect(textIn(lab.shadow, AGENT)).toBe("name: scout\n");
  expect(textIn(attic, AGENT)).toBeUndefined();
  expect(await mirror(lab.shadow)).toMatchObject({ code: 0, outcome: "changed" });
  expect(textIn(attic, AGENT)).toBe("name: scout\n");
  const arrived = generationOn(attic, "shadow") ?? "";
  expect(halfIn(attic, "shadow", arrived)).toEqual([]);
  expect(textIn(lab.shadow, `runtime/mirror/phantom/current/${LOG}`)).toBe('{"line":"a"}\n');
  expect(textIn(attic, `runtime/mirror/shadow/current/${LOG}`)).toBeUndefined();
  expect(generationOn(attic, "phantom")).toBeUndefined();
}, 120_000);

test("a change at one end reaches the other by two runs, and the way back as well", async () => {
  put(attic, AGENT, "name: scout\nmood: calm\n");
  expect(await mirror(attic)).toMatchObject({ code: 0 });
  expect(await mirror(lab.shadow)).toMatchObject({ code: 0 });
  expect(textIn(lab.phantom, AGENT)).toBe("name: scout\nmood: calm\n");
}, 120_000);

test("the two ends change one path: who comes second is told, both versions are kept, and one choice settles it for all three", async () => {
  put(lab.phantom, AGENT, "name: scout\nmood: bold\n");
  put(attic, AGENT, "name: scout\nmood: shy\n");
  expect(await mirror(lab.phantom)).toMatchObject({ code: 0 });
  const met = (await mirror(attic)).findings.map((one) => one.what).join("\n");
  expect(met).toContain(`${AGENT} was changed on attic and on shadow: both versions are kept`);
  expect(textIn(lab.shadow, AGENT)).toContain("bold");
  expect(textIn(attic, AGENT)).toContain("shy");
  const mine = await lab.shelter(attic, ["05_rsync_mirror", "--take", "mine", AGENT, "--yes"]);
  expect({ code: mine.code, said: mine.code === 0 ? "" : mine.stdout + mine.stderr }).toEqual({
    code: 0,
    said: "",
  });
  expect(await mirror(lab.shadow)).toMatchObject({ code: 0 });
  for (const host of [lab.phantom, lab.shadow, attic]) {
    expect(textIn(host, AGENT)).toBe("name: scout\nmood: shy\n");
  }
}, 120_000);

test("status shows each host those that it is paired with; one that is gone holds up nothing between the others", async () => {
  expect(await status(lab.shadow)).toMatch(/attic[\s\S]*phantom|phantom[\s\S]*attic/);
  expect(await status(lab.phantom)).not.toContain("attic");
  await attic.cutPower();
  put(lab.shadow, AGENT, "name: scout\nmood: alone\n");
  const ran = await mirror(lab.shadow);
  expect(textIn(lab.phantom, AGENT)).toBe("name: scout\nmood: alone\n");
  expect(ran.findings.map((one) => one.what).join("\n")).toContain("attic");
  expect(await status(lab.shadow)).toMatch(
    /attic.*(does not answer|did not answer|gone|unreachable)/i,
  );
  await attic.powerOn();
  await connect(attic);
  expect(await mirror(lab.shadow)).toMatchObject({ code: 0 });
  expect(textIn(attic, AGENT)).toBe("name: scout\nmood: alone\n");
}, 180_000);
