/** Bytes taken into a file: hashed as they are written, gone on with, never more than was said, and never waited for for ever. */
import { expect, spyOn, test } from "bun:test";
import * as fc from "fast-check";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alignedBuffer, BLOCK, DirectWriter } from "../../lib/machine/direct.ts";
import { sha256 } from "../../lib/machine/hash.ts";
import { receive } from "../../lib/machine/receive.ts";

const folder = () => mkdtempSync(join(process.env["SHELTER_TEST_RUN"] ?? tmpdir(), "receive-"));
async function* stream(...chunks: readonly Uint8Array[]) {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}
const all = { from: 0, most: 1e9, patience: 5000 };

test("what came before and what comes are one file and one hash, wherever it was cut", async () => {
  const at = join(folder(), "m");
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(300),
      fc.nat(300),
      async (content, a, b) => {
        const [first, second] = [Math.min(a, content.length), Math.min(b, content.length)];
        // some of what came is said to be there already; the rest is sent once more
        const from = Math.min(first, second);
        writeFileSync(at, content.subarray(0, first));
        const middle = from + Math.floor((content.length - from) / 2);
        const received = await receive(at, {
          ...all,
          from,
          bytes: stream(content.subarray(from, middle), content.subarray(middle)),
        });
        expect(received).toEqual({ size: content.length, sha256: sha256(content) });
        expect(readFileSync(at).equals(content)).toBe(true);
      },
    ),
  );
  expect(statSync(at).mode & 0o777 & ~0o644).toBe(0);
});

test("pieces of many blocks are written whole and in their places, from wherever the stream goes on", async () => {
  const at = join(folder(), "m");
  const content = crypto.getRandomValues(new Uint8Array(65_536));
  const large = Buffer.concat(Array.from({ length: 40 }, (_, n) => content.subarray(n)));
  for (const from of [0, 1, 4096, 600_001]) {
    writeFileSync(at, large.subarray(0, from));
    const pieces = Array.from({ length: 50 }, (_, n) =>
      large.subarray(
        from + Math.floor(((large.length - from) * n) / 50),
        from + Math.floor(((large.length - from) * (n + 1)) / 50),
      ),
    );
    const received = await receive(at, { ...all, from, bytes: stream(...pieces) });
    expect(received).toEqual({ size: large.length, sha256: sha256(large) });
    expect(readFileSync(at).equals(large)).toBe(true);
  }
});

test("blocks go past the cache where the file system can, and the rest of a file as any write does", async () => {
  const file = openSync(join(folder(), "m"), "w+");
  const writer = new DirectWriter(file);
  try {
    const could = writer.direct;
    const buffer = await alignedBuffer(3 * BLOCK);
    buffer.fill("ab");
    await writer.write(buffer.subarray(0, 2 * BLOCK), 0);
    await writer.write(buffer.subarray(2 * BLOCK, 2 * BLOCK + 5), 2 * BLOCK);
    await writer.settled();
    expect(writer.direct).toBe(could);
    expect(readFileSync(file, "utf8")).toBe("ab".repeat(BLOCK) + "ababa");
  } finally {
    await writer.close();
    closeSync(file);
  }
});

test("more than was said, a gap, a link in its place and a silent sender are refused", async () => {
  const at = join(folder(), "m");
  const three = Buffer.from("abc");
  const id = (promise: Promise<unknown>) =>
    promise.then(
      () => "taken",
      (error: { readonly id?: string; readonly code?: string }) => error.id ?? error.code,
    );
  expect(await id(receive(at, { ...all, most: 2, bytes: stream(three) }))).toBe("too-long");
  expect(await id(receive(at, { ...all, from: 9, bytes: stream(three) }))).toBe(
    "nothing-to-go-on-from",
  );
  const elsewhere = join(folder(), "elsewhere");
  writeFileSync(elsewhere, "mine");
  const link = join(folder(), "link");
  symlinkSync(elsewhere, link);
  expect(await id(receive(link, { ...all, bytes: stream(three) }))).toBe("ELOOP");
  expect(readFileSync(elsewhere, "utf8")).toBe("mine");
  const silent = async function* () {
    yield three;
    await Bun.sleep(5000);
  };
  expect(await id(receive(at, { ...all, patience: 100, bytes: silent() }))).toBe("sender-silent");
  // what came stays, to go on from
  expect(readFileSync(at, "utf8")).toBe("abc");
});

test("what stands behind the place to go on from goes, and a new file is its owner's alone", async () => {
  const at = join(folder(), "m");
  writeFileSync(at, "abcd and what an earlier model left");
  const received = await receive(at, { ...all, from: 2, bytes: stream(Buffer.from("xy")) });
  expect(received).toEqual({ size: 4, sha256: sha256("abxy") });
  expect(readFileSync(at, "utf8")).toBe("abxy");
  const fresh = join(folder(), "fresh");
  await receive(fresh, { ...all, bytes: stream() });
  expect(statSync(fresh).mode & 0o777).toBe(0o600);
});

test("how far it is is told by time: of a slow stream, and while what stands is read again", async () => {
  const at = join(folder(), "m");
  const half = Buffer.alloc(512 * 1024);
  const clock = spyOn(performance, "now");
  let now = 0;
  clock.mockImplementation(() => (now += 1500));
  try {
    const sizes: number[] = [];
    const onBytes = (size: number) => void sizes.push(size);
    await receive(at, { ...all, bytes: stream(half, half, half, half), onBytes });
    expect(sizes).toEqual([2, 4].map((n) => n * half.length));
    sizes.length = 0;
    await receive(at, { ...all, from: 4 * half.length, bytes: stream(), onBytes });
    expect(sizes).toEqual([2, 4].map((n) => n * half.length));
  } finally {
    clock.mockRestore();
  }
});
