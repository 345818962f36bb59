/** Figures of the program itself: start-up, a plan over a large home, hashing, memory, size on disk. */
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROSTER } from "../../lib/roster.ts";
import { NAMES } from "../../lib/orchestra/names.ts";
import { COMPILED_AS, SEALED } from "../../scripts/compiled_as.ts";
import { median, type Measured } from "./figure.ts";
import { BIN, peakOf, inTurn, REPOSITORY, withFolder } from "./ways.ts";

const MB = 1_000_000;

/** `--version` and `--help` of a script and of `shelter`, against an empty Bun program that is built the same way. */
export function startUp(quick: boolean): Promise<readonly Measured[]> {
  return withFolder(async (folder) => {
    const empty = join(folder, "empty");
    const source = join(folder, "empty.ts");
    writeFileSync(source, "export {};\n");
    const built = await Bun.build({
      entrypoints: [source],
      ...COMPILED_AS,
      compile: { outfile: empty, ...SEALED },
    });
    if (!built.success)
      throw new AggregateError(built.logs, "the empty program could not be built");
    const asked = [
      "shelter",
      "00_check_structure",
      "03_build_llama_cpp",
      "09_backup_restore",
    ].flatMap((name) => ["--version", "--help"].map((flag) => ({ name, flag })));
    const times = inTurn(
      [[empty], ...asked.map(({ name, flag }) => [join(BIN, name), flag])],
      quick ? 15 : 60,
      folder,
    );
    const base = median(times[0] ?? []);
    return asked.map(({ name, flag }, index) => ({
      name: `${flag} of ${name} against an empty program`,
      unit: "x",
      goal: { atMost: 2 },
      values: (times[index + 1] ?? []).map((ms) => ms / base),
      how: `wall time, in turn; the empty one takes ${base.toFixed(1)} ms`,
    }));
  });
}

/** `--plan` of 00_check_structure on a home of 10,000 files. */
export function planOfLargeHome(quick: boolean): Promise<readonly Measured[]> {
  return withFolder((folder) => {
    const home = join(folder, "home");
    for (let i = 0; i < 100; i++) {
      const place = join(home, "agents", `folder-${i}`);
      mkdirSync(place, { recursive: true, mode: 0o700 });
      for (let j = 0; j < 100; j++)
        writeFileSync(join(place, `file-${j}.yaml`), "a: 1\n", { mode: 0o600 });
    }
    writeFileSync(join(home, "shared.cfg"), "", { mode: 0o600 }); // what is no home is not looked at
    const [times = []] = inTurn(
      [[join(BIN, "00_check_structure"), "--plan", "--home", home]],
      quick ? 5 : 15,
      folder,
    );
    return [
      {
        name: "--plan of 00_check_structure on 10,000 files",
        unit: "ms",
        goal: { atMost: 300 },
        values: times,
        how: "wall time of the whole process",
      },
    ];
  });
}

/** Hashing a large file with the shelter's own function against openssl, in turn. */
export async function hashing(quick: boolean): Promise<readonly Measured[]> {
  const name = "hashing against openssl dgst -sha256";
  const openssl = Bun.which("openssl");
  if (!openssl) return [{ name, leftOut: "this machine has no openssl" }];
  return withFolder(async (folder) => {
    const file = join(folder, "model");
    const block = new Uint8Array(MB * 16);
    for (let at = 0; at < block.length; at += 65_536) {
      crypto.getRandomValues(block.subarray(at, at + 65_536));
    }
    const blocks = quick ? 16 : 64;
    const sink = Bun.file(file).writer();
    for (let i = 0; i < blocks; i++) await sink.write(block);
    await sink.end();
    const script = join(folder, "hash.ts");
    const idle = join(folder, "nothing.ts");
    const module = JSON.stringify(join(REPOSITORY, "lib/machine/hash.ts"));
    writeFileSync(
      script,
      `import { sha256OfFile } from ${module};\nawait sha256OfFile(${JSON.stringify(file)});\n`,
    );
    writeFileSync(idle, `import ${module};\n`);
    const [ours = [], nothing = [], theirs = []] = inTurn(
      [
        [process.execPath, script],
        [process.execPath, idle],
        [openssl, "dgst", "-sha256", file],
      ],
      quick ? 3 : 7,
      folder,
    );
    // starting the runtime is no hashing: a binary pays for it once, whatever it hashes
    const start = median(nothing);
    return [
      {
        name,
        unit: "x",
        goal: { atLeast: 0.95 },
        values: ours.map((ms, round) => (theirs[round] ?? Number.NaN) / (ms - start)),
        how: `${(block.length * blocks) / MB} MB, speed, less ${start.toFixed(0)} ms for starting the runtime`,
      },
    ];
  });
}

/** Peak memory of each script's `--plan` and of `shelter status`, in a fresh home. */
export function memory(): Promise<readonly Measured[]> {
  return withFolder(async (folder) => {
    const home = join(folder, "home");
    const runs = [
      ...ROSTER.filter((row) => row.built && row.id !== "08_shelter_cli").map(
        (row) => [row.id, "--plan"] as const,
      ),
      ["shelter", "status"] as const,
      ["shelter", "plan"] as const,
    ];
    const figures: Measured[] = [];
    for (const [name, word] of runs) {
      const peak = await peakOf([join(BIN, name), word, "--home", home], folder);
      figures.push({
        name: `peak memory of ${name} ${word}`,
        unit: "MB",
        goal: { atMost: 250 },
        values: [peak / MB],
        how: "its own high-water mark, without compilers and engines",
      });
    }
    return figures;
  });
}

/** What the 22 names of one target take on disk: what is linked often counts once. */
export function size(): readonly Measured[] {
  const inodes = new Map<number, number>();
  for (const name of NAMES) {
    const { ino, blocks } = lstatSync(join(BIN, name));
    inodes.set(ino, blocks * 512);
  }
  const bytes = [...inodes.values()].reduce((sum, one) => sum + one, 0);
  const count = readdirSync(BIN).filter((name) => NAMES.includes(name)).length;
  return [
    {
      name: `size of one target's ${count} names`,
      unit: "MB",
      goal: { atMost: 130 },
      values: [bytes / MB],
      how: "blocks on disk, each inode once",
    },
  ];
}
