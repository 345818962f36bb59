/** Fetching from a real server on loopback that behaves, lies, breaks off and never ends. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { IntegrityError } from "../../lib/errors.ts";
import { sha256 } from "../../lib/machine/hash.ts";
import { fetchVerified, partOf } from "../../lib/machine/sources.ts";
import {
  bring,
  BYTES,
  cleanUp,
  failure,
  HASH,
  havePart,
  place,
  quarantined,
  ranged,
  serve,
  serveRaw,
} from "../support/fetching.ts";

afterEach(cleanUp);

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
      "no other host is asked here",
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
