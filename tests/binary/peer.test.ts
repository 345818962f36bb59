/** The forced command's side of `--host`: what sshd would start, with the other host's words on standard input. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keptForEachTest } from "../support/kept.ts";
import {
  freshHome,
  journalOf,
  plainEnvironment,
  runName,
  type TestHome,
  type Way,
  WAYS,
} from "../support/program.ts";
import { offerOf } from "../support/two_worlds.ts";

const keep = keptForEachTest();

/** A home that is paired with phantom. */
async function pairedHome(way: Way): Promise<TestHome> {
  const at = keep(freshHome());
  expect((await runName(way, "02_scaffold_dirs", [], at)).code).toBe(0);
  mkdirSync(join(at.home, "runtime", "trust"), { mode: 0o700 });
  const trust = { ...offerOf("phantom"), pairedAt: "2026-01-01T00:00:00.000Z" };
  const path = join(at.home, "runtime", "trust", "phantom.json");
  writeFileSync(path, JSON.stringify(trust), { mode: 0o600 });
  return at;
}

function request(way: Way, at: TestHome, original: string, role = "operator") {
  const child = Bun.spawn([...way.command("shelter"), "--home", at.home, "peer", role, "phantom"], {
    cwd: at.folder,
    env: plainEnvironment(at.folder, { SSH_ORIGINAL_COMMAND: original }),
    stdio: ["pipe", "pipe", "pipe"],
  });
  const said = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return {
    tell: async (text: string) => {
      await child.stdin.write(text);
      await child.stdin.flush();
    },
    hangUp: () => child.stdin.end(),
    ended: async () => {
      const code = await child.exited;
      const [stdout, stderr] = await said;
      return { code, stdout, stderr };
    },
  };
}

const run = (script: string, ...argv: readonly string[]) => `${JSON.stringify({ script, argv })}\n`;

describe.each(WAYS)("a paired host's request, $way", (way) => {
  test("is run to its end while the connection stays open, and its exit code is the script's", async () => {
    const at = await pairedHome(way);
    for (const [script, argv, code] of [
      ["00_check_structure", ["--json"], 0],
      ["02_scaffold_dirs", ["--plan", "--json"], 0],
      ["00_check_structure", ["--plan", "--verify", "--json"], 2],
      ["09_iso_boot_setup", ["--json"], 11],
    ] as const) {
      const asked = request(way, at, "carry-out");
      await asked.tell(run(script, ...argv));
      const ended = await asked.ended();
      expect([script, ended.code]).toEqual([script, code]);
      expect(ended.stderr).toMatch(/^shelter begins: \d+\.\d+\.\d+ .*\n$/);
      expect(JSON.parse(ended.stdout)).toMatchObject({ schema: 1, script });
    }
  }, 30_000);

  test("that sends more of a model than it said is refused, and ends although its connection stays open", async () => {
    const at = await pairedHome(way);
    const asked = request(way, at, `model ${"a".repeat(64)} 3 0`, "mirror");
    await asked.tell("0123456789");
    const ended = await Promise.race([asked.ended(), Bun.sleep(8000)]);
    await asked.hangUp();
    expect(ended).toMatchObject({ code: 11, stderr: expect.stringContaining("more came than 3") });
  }, 30_000);

  test("that is about which programs and commands run here is refused: its own operator says that", async () => {
    const at = await pairedHome(way);
    const config = join(at.home, "shared.cfg");
    const alerts = 'alerts: {command: ["/bin/sh", "-c", "id"]}\n';
    writeFileSync(config, alerts);
    for (const [script, argv] of [
      ["08_shelter_cli", ["watch", "--allow-command"]],
      ["08_shelter_cli", ["undo", "--all", "--forget"]],
      ["05_rsync_mirror", ["--take", "theirs", "bin/hosts/testhost"]],
      ["08_shelter_cli", ["update", "--back"]],
    ] as const) {
      const asked = request(way, at, "carry-out");
      await asked.tell(run(script, ...argv));
      const ended = await asked.ended();
      expect([script, ended.code]).toEqual([script, 11]);
      expect(ended.stderr).toContain("is not for a peer to say");
    }
    expect(existsSync(join(at.home, "runtime", "state", "allowed-command"))).toBe(false);
    expect(existsSync(config)).toBe(true);
  }, 30_000);

  test.each(["told to", "its other side hangs up"])(
    "takes itself back when it is %s",
    async (how) => {
      const at = await pairedHome(way);
      // a source that never sends anything: the run waits for it until it is stopped
      const asked = Promise.withResolvers<void>();
      const server = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: () => {
          asked.resolve();
          return new Promise<Response>(() => undefined);
        },
      });
      try {
        const entry = `{title: X, bytes: 1000, sha256: ${"a".repeat(64)}, licence: none, quantisation: Q4_0, context: 512, layers: 1, kv_bytes: 1, vocabulary: 10, embedding: 10, sources: [{url: "http://127.0.0.1:${server.port}/x.gguf"}]}`;
        writeFileSync(join(at.home, "models", "local.yaml"), `models:\n  x: ${entry}\n`);
        const going = request(way, at, "carry-out");
        await going.tell(run("03_install_models", "--model", "x", "--json"));
        await asked.promise;
        if (how === "told to") await going.tell("interrupt\n");
        else await going.hangUp();
        const { code, stdout } = await going.ended();
        expect([code, (JSON.parse(stdout) as { outcome: string }).outcome]).toEqual([
          130,
          "interrupted",
        ]);
        expect(journalOf(at.home).lines.at(-1)).toMatchObject({
          script: "03_install_models",
          outcome: "interrupted",
        });
      } finally {
        await server.stop(true);
      }
    },
    30_000,
  );

  test("is refused where it is none, endless, or sends us elsewhere", async () => {
    const at = await pairedHome(way);
    for (const line of [
      "{}\n",
      "not json\n",
      run("../../bin/sh"),
      run("00_check_structure", "--home", "/etc"),
      run("00_check_structure", "--host=other"),
      "x".repeat(70_000),
      "",
    ]) {
      const asked = request(way, at, "carry-out");
      await asked.tell(line);
      await asked.hangUp();
      const { code, stdout } = await asked.ended();
      expect([line.slice(0, 60), code, stdout]).toEqual([line.slice(0, 60), 11, ""]);
    }
  }, 30_000);
});
