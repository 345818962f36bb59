/** The laws on the services, over worlds in which something of them stands already. The same for both kinds of host. */
import * as fc from "fast-check";
import {
  CURRENT,
  engineFolder,
  GATEWAY_UNIT,
  GIVEN_UP,
  inServices,
  WATCH_UNIT,
} from "../../lib/services/places.ts";
import type { AnyUnit } from "../../lib/unit.ts";
import { steadily } from "./bench_world.ts";
import { FAKE_HOME } from "./fake_machine.ts";
import type { KnownUnit } from "./fake_systemd.ts";
import { lawsOf, type LawWorld } from "./laws.ts";
import { BUILD_A, BUILD_B, OLDER_RELEASES, RELEASE, servicesMachine } from "./services_world.ts";

const known: fc.Arbitrary<KnownUnit> = fc.record({
  loaded: fc.constant("[Service]\nExecStart=/somebody/elses\n"),
  enabled: fc.boolean(),
  active: fc.boolean(),
});

/** Declares the laws for one kind's unit; `role` makes the fake host one of that kind. */
export function servicesLaws(unit: AnyUnit, role: string | undefined): void {
  const worlds = fc
    .record({
      builds: fc.constantFrom([BUILD_A], [BUILD_A, BUILD_B]),
      units: fc.dictionary(fc.constantFrom(GATEWAY_UNIT, WATCH_UNIT), known, { maxKeys: 2 }),
      releases: fc.shuffledSubarray([RELEASE, ...OLDER_RELEASES]),
      plainLink: fc.boolean(),
      serving: fc.constantFrom(undefined, ...OLDER_RELEASES),
      before: fc.constantFrom(undefined, ...OLDER_RELEASES),
      place: fc.boolean(),
      document: fc.constantFrom(undefined, '{"schema":1,"host":"by hand"}', "{"),
      damagedCopy: fc.boolean(),
      oldBuild: fc.boolean(),
      givenUp: fc.constantFrom(undefined, BUILD_A, BUILD_B),
    })
    .map(
      ({
        builds,
        units,
        releases,
        plainLink,
        serving,
        before,
        place,
        document,
        damagedCopy,
        oldBuild,
        givenUp,
      }): LawWorld => ({
        machine: servicesMachine({
          builds,
          units,
          releases,
          plainLink,
          ...(serving === undefined ? {} : { serving }),
          ...(before === undefined ? {} : { before }),
          ...(role === undefined ? {} : { role }),
          files: {
            ...(place ? { [inServices.gatewayKey(FAKE_HOME)]: { text: "k\n", mode: 0o600 } } : {}),
            ...(document === undefined ? {} : { [`${FAKE_HOME}/runtime/gateway.json`]: document }),
            ...(damagedCopy
              ? { [engineFolder(BUILD_A, "bin/llama-server")]: { text: "cut", mode: 0o700 } }
              : {}),
            // only what runs as a service can have been given up
            ...(givenUp === undefined || !place ? {} : { [GIVEN_UP]: `${givenUp}\n` }),
            ...(oldBuild ? { [engineFolder("b-cccccccccccc", "build-info.json")]: "{}" } : {}),
            ...(releases.length === 0 && place ? { [CURRENT]: { link: "dddddddddddddddd" } } : {}),
          },
        }),
      }),
    );
  lawsOf(steadily(unit), worlds, { runs: 8, timeout: 180_000 });
}
