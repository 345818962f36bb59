/** Installing a newer release whose watcher does not stay: the run takes it back, and the older one watches on. */
import { expect, test } from "bun:test";
import { unit as phantom } from "../../scripts/06_phantom_watchdog.ts";
import { steadily } from "../support/bench_world.ts";
import { FAKE_HOME, fakeMachine, type FakeRan, type FakeWorld } from "../support/fake_machine.ts";
import { knownUnits, systemctl } from "../support/fake_systemd.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";
import { OLDER_RELEASES, RELEASE, servicesMachine } from "../support/services_world.ts";

const [OLD, OLDER] = OLDER_RELEASES;
const RUNS = { loaded: "[Service]\nExecStart=/the/older/one\n", enabled: true, active: true };
const SERVE = { "shelter-gateway.service": RUNS, "shelter-watch.service": RUNS };
const keep = keptForEachTest();

const WATCH = "shelter-watch.service";
const there = (path: string) => path.startsWith(FAKE_HOME);
/** As it is with systemctl answering in its own way while the newer release's unit stands. */
function withNewer(instead: (argv: readonly string[]) => FakeRan | undefined): FakeWorld {
  const options = servicesMachine({ releases: [OLD, OLDER], before: OLDER, units: SERVE });
  const world = fakeMachine({
    ...options,
    programs: {
      ...options.programs,
      systemctl: (argv, here, ...rest) => {
        const newer = knownUnits(here)[WATCH]?.loaded.includes(RELEASE) === true;
        const said = newer && argv.at(-1) === WATCH ? instead(argv) : undefined;
        return said ?? systemctl(argv, here, ...rest);
      },
    },
  });
  return keep(world);
}

test.each([
  ["never gets ready", "systemctl-failed", "restart", { code: 1, stderr: "it ended" }],
  [
    "gets ready and ends again and again",
    "never-converges",
    "show",
    { stdout: "UnitFileState=enabled\nActiveState=activating\nSubState=auto-restart\n" },
  ],
])(
  "a newer release whose watcher %s is taken back as a whole, and the older one watches on",
  async (_, id, verb, said) => {
    const world = withNewer((argv) => (argv[1] === verb ? said : undefined));
    const before = world.picture("/", there);
    const report = await runOn(world, steadily(phantom), {});
    expect(report).toMatchObject({ outcome: "rolled-back", error: { id } });
    expect(report.left ?? []).toEqual([]);
    expect(world.picture("/", there)).toEqual(before);
    expect(knownUnits(world)[WATCH]).toEqual(RUNS);
    const warned = report.findings.map((one) => one.id);
    expect(warned.includes("falls-shelter-watch")).toBe(verb === "show");
  },
);
