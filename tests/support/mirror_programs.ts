/** Programs of a release as they stand in a folder, and keys that sign them. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Made, madeLine } from "../../lib/orchestra/made.ts";
import { NAMES } from "../../lib/orchestra/names.ts";
import type { FakeFile } from "./fake_machine.ts";

export const hashOf = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");

/** A release whose commit was made on that day of a month. */
export function madeOn(day: number, version = "0.1.0"): Made {
  const at = new Date(Date.UTC(2026, 0, day)).toISOString();
  return { version, at, commit: hashOf(`${version} ${day}`).slice(0, 40) };
}

/** A program that says when it was made. */
export function programMade(made: Made): string {
  return `a program\n${madeLine(made)}\nand more of it\n`;
}

/** A fresh key pair: the private file's text and "type base64". */
export function newKey(): {
  readonly secret: string;
  readonly text: string;
  readonly known: string;
} {
  const folder = mkdtempSync(join(tmpdir(), "shelter-key-"));
  try {
    Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(folder, "key")]);
    const text = readFileSync(join(folder, "key.pub"), "utf8");
    return {
      secret: readFileSync(join(folder, "key"), "utf8"),
      text,
      known: text.split(" ").slice(0, 2).join(" "),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A folder of programs, all alike. */
export function programs(folder: string, text: string): Readonly<Record<string, FakeFile>> {
  const sums = NAMES.map((name) => `${hashOf(text)}  ${name}\n`).join("");
  return {
    ...Object.fromEntries(NAMES.map((name) => [`${folder}/${name}`, { text, mode: 0o755 }])),
    [`${folder}/SHA256SUMS`]: sums,
  };
}
