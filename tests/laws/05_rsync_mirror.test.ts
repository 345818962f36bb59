/** The laws on 05_rsync_mirror, with two homes on one fake machine: what a run does to the peer comes back as well. */
import * as fc from "fast-check";
import { unit } from "../../scripts/05_rsync_mirror.ts";
import type { FakeFile } from "../support/fake_machine.ts";
import { lawsOf, type LawWorld } from "../support/laws.ts";
import { certificateOf, mirrorMachine, PEER_HOME } from "../support/mirror_world.ts";

const certificate = certificateOf("shadow");

/** A file of either side, the same on both, or another on each. */
const shared = fc.constantFrom<readonly [string | null, string | null]>(
  [null, null],
  ["a", null],
  [null, "b"],
  ["same", "same"],
  ["mine", "theirs"],
);

const worlds = fc
  .record({
    config: shared,
    agent: shared,
    page: shared,
    link: fc.boolean(),
    logs: fc.integer({ min: 0, max: 3 }),
    model: fc.constantFrom("none", "mine", "theirs", "both"),
    folders: fc.boolean(),
  })
  .map(({ config, agent, page, link, logs, model, folders }): LawWorld => {
    const mine: Record<string, FakeFile> = {};
    const theirs: Record<string, FakeFile> = {};
    const put = (path: string, [here, there]: readonly [string | null, string | null]) => {
      if (here !== null) mine[path] = { text: `# ${here}\n`, mode: 0o600 };
      if (there !== null) theirs[path] = { text: `# ${there}\n`, mode: 0o600 };
    };
    put("shared.cfg", config);
    put("agents/deep/one.yaml", agent);
    put("dashboards/-page\nof two lines.html", page);
    if (link) mine["agents/latest"] = { link: "deep/one.yaml" };
    mine["status/testhost/structure_ok.json"] = { text: '{"schema":1}\n', mode: 0o600 };
    for (let at = 0; at < logs; at++) {
      mine[`logs/memory/testhost/00_check_structure/2026010${at}-0000.log`] = `{"at":${at}}\n`;
    }
    const bytes = `model ${model}`;
    const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    if (model === "mine" || model === "both") mine[`models/sha256/${hash}`] = bytes;
    if (model === "theirs" || model === "both") theirs[`models/sha256/${hash}`] = bytes;
    if (folders) {
      for (const folder of ["agents", "dashboards", "status", "logs/journal", "models/sha256"])
        theirs[folder] ??= { folder: true, mode: 0o700 };
    }
    return { machine: mirrorMachine(certificate, { mine, theirs }) };
  });

lawsOf(unit, worlds, {
  runs: 8,
  timeout: 120_000,
  kept: (path) =>
    // caches and locks there, what waits there for the next run, and models, which are only ever added
    [`${PEER_HOME}/runtime/work`, `${PEER_HOME}/runtime/locks`, `${PEER_HOME}/models`].includes(
      path,
    ) ||
    path.startsWith(`${PEER_HOME}/runtime/mirror/testhost/models`) ||
    /\/mirror\/testhost\/\d{8}\.partial$/.test(path),
});
