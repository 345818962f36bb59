/** Taking a member out of a zip or a tar, also out of damaged and hostile ones. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { IntegrityError } from "../../lib/errors.ts";
import { extractFromTgz } from "../../lib/machine/tar.ts";
import { extractFromZip } from "../../lib/machine/zip.ts";
import { zipFile } from "../support/zip_writer.ts";

const folder = mkdtempSync(join(tmpdir(), "archives-"));
afterAll(() => rmSync(folder, { recursive: true }));
const to = join(folder, "out");
const MIB = 2 ** 20;

type Extract = typeof extractFromZip;
async function take(extract: Extract, archive: Uint8Array, member: string, limit = 100 * MIB) {
  const path = join(folder, "archive");
  writeFileSync(path, archive);
  await extract(path, member, to, { limit });
  return readFileSync(to);
}
async function refusal(extract: Extract, archive: Uint8Array, member: string, limit?: number) {
  try {
    await take(extract, archive, member, limit);
  } catch (error) {
    expect(error).toBeInstanceOf(IntegrityError);
    return (error as IntegrityError).why;
  }
  throw new Error("it was taken");
}
/** A tar made by the system's own tar. */
async function tgz(files: Readonly<Record<string, Uint8Array>>, ...flags: string[]) {
  const top = mkdtempSync(join(folder, "tar-"));
  for (const [name, bytes] of Object.entries(files)) {
    await Bun.write(join(top, "package", name), bytes);
  }
  const path = join(folder, "made.tgz");
  const ran = Bun.spawnSync(["tar", "-czf", path, ...flags, "-C", top, "package"]);
  expect(ran.exitCode).toBe(0);
  return readFileSync(path);
}

const text = (length: number, seed = 7) =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => (i * seed + (i >> 8)) & 255));

describe("zip", () => {
  const small = text(5000);
  const archive = zipFile([
    { name: "a/first.txt", bytes: text(10) },
    { name: "a/b.gguf", bytes: small },
    { name: "stored.bin", bytes: small, stored: true },
    { name: "wide.bin", bytes: small, wide: true },
    { name: "empty", bytes: new Uint8Array(0), stored: true },
  ]);
  test("gives a member's bytes, deflated, stored, with zip64 sizes, empty", async () => {
    for (const name of ["a/b.gguf", "stored.bin", "wide.bin"]) {
      expect(await take(extractFromZip, archive, name)).toEqual(small);
    }
    expect((await take(extractFromZip, archive, "empty")).length).toBe(0);
  });
  test("agrees with the system's own zip writer", async () => {
    const path = join(folder, "py.zip");
    const script = `import zipfile,sys\nz=zipfile.ZipFile(sys.argv[1],"w",zipfile.ZIP_DEFLATED)\nz.writestr("x/y.bin",bytes(range(256))*5000)\nz.writestr("x/z",b"z")\nz.close()`;
    if (Bun.spawnSync(["python3", "-c", script, path]).exitCode !== 0)
      throw new Error("no python3");
    const found = await take(extractFromZip, readFileSync(path), "x/y.bin");
    expect(found.length).toBe(1_280_000);
    expect(found[257]).toBe(1);
  });
  test("refuses what it does not hold, what is encrypted or packed otherwise, what is too large or lies", async () => {
    expect(await refusal(extractFromZip, archive, "b.gguf")).toContain('holds no "b.gguf"');
    expect(await refusal(extractFromZip, archive, "../b.gguf")).toContain("holds no");
    expect(await refusal(extractFromZip, archive, "a/b.gguf", 100)).toContain(
      "more than 100 bytes",
    );
    const odd = (member: object) => zipFile([{ name: "m", bytes: small, ...member }]);
    expect(await refusal(extractFromZip, odd({ flags: 1 }), "m")).toContain("encrypted");
    expect(await refusal(extractFromZip, odd({ method: 12 }), "m")).toContain("method 12");
    expect(await refusal(extractFromZip, odd({ claims: 4000 }), "m")).toContain("index says 4000");
    expect(await refusal(extractFromZip, Buffer.from("not a zip"), "m")).toContain(
      "no zip archive",
    );
    expect(await refusal(extractFromZip, new Uint8Array(0), "m")).toContain("no zip archive");
  });
  test("a bomb stops at its limit", async () => {
    const bomb = zipFile([{ name: "m", bytes: new Uint8Array(64 * MIB) }]);
    expect(bomb.length).toBeLessThan(MIB);
    expect(await refusal(extractFromZip, bomb, "m", MIB)).toContain("more than");
    expect(readFileSync(to).length).toBeLessThanOrEqual(MIB);
  });
  test("cut or changed anywhere it gives the right bytes or is refused", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(archive.length - 1),
        fc.nat(255),
        fc.boolean(),
        async (at, value, cut) => {
          const broken = cut ? archive.subarray(0, at) : Buffer.from(archive);
          if (!cut) broken[at] = value;
          try {
            const found = await take(extractFromZip, broken, "a/b.gguf", 10_000);
            expect(found.length).toBe(small.length); // the hash is checked by the caller
          } catch (error) {
            if (!(error instanceof IntegrityError)) throw error;
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe("gzipped tar", () => {
  const long = `deep/${"x".repeat(120)}/${"y".repeat(130)}/file.bin`;
  const files: Readonly<Record<string, Uint8Array>> = {
    "package.json": text(700),
    "llama/gitRelease.bundle": text(3 * MIB),
    [long]: text(999),
  };
  test("gives a member's bytes, whatever the flavour of the headers", async () => {
    for (const format of ["ustar", "pax", "gnu"]) {
      const names = format === "ustar" ? ["llama/gitRelease.bundle"] : Object.keys(files);
      const some = Object.fromEntries(
        Object.entries(files).filter(([name]) => names.includes(name)),
      );
      const archive = await tgz(some, `--format=${format}`);
      for (const name of names) {
        expect(await take(extractFromTgz, archive, name)).toEqual(Buffer.from(files[name] ?? []));
      }
    }
  });
  test("refuses what is not there, too large, cut short or no archive", async () => {
    const archive = await tgz(files);
    expect(await refusal(extractFromTgz, archive, "package/package.json")).toContain("holds no");
    expect(await refusal(extractFromTgz, archive, "llama/gitRelease.bundle", 1000)).toContain(
      "more than",
    );
    const half = archive.subarray(0, archive.length / 2);
    expect(await refusal(extractFromTgz, half, "llama/gitRelease.bundle")).toMatch(/\S/);
    expect(await refusal(extractFromTgz, Buffer.from("nothing"), "x")).toMatch(/\S/);
    expect(await refusal(extractFromTgz, gzipSync(text(5000)), "x")).toContain("checksum");
  });
  test("with any byte of its inside changed it gives bytes or is refused", async () => {
    const archive = await tgz({ a: text(2000), b: text(3000) });
    const inside = Buffer.from(Bun.gunzipSync(Uint8Array.from(archive)));
    await fc.assert(
      fc.asyncProperty(fc.nat(inside.length - 1), fc.nat(255), async (at, value) => {
        const broken = Buffer.from(inside);
        broken[at] = value;
        try {
          await take(extractFromTgz, gzipSync(broken), "b", 10_000);
        } catch (error) {
          if (!(error instanceof IntegrityError)) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});
