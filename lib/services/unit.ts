/** The services of a host as a unit: one for each kind of host, alike but for the watcher that they run. */
import type { Step, Unit } from "../unit.ts";
import { observeServices, type ServicesFacts } from "./facts.ts";
import { diagnoseServices } from "./findings.ts";
import {
  clearPlace,
  goLive,
  leaveLive,
  liveStep,
  giveUp,
  installFiles,
  installStep,
  makePlace,
  PLACE_STEP,
  takeUp,
  takeUpStep,
} from "./install.ts";
import { WATCHER, type Kind } from "./kind.ts";
import { type Links, linksOf } from "./live.ts";
import { unaskedServices } from "./unasked.ts";

/** The unit of one kind of host. */
export function servicesUnit(
  kind: Kind,
  own: Pick<Unit<ServicesFacts>, "id" | "flag" | "summary">,
): Unit<ServicesFacts> {
  return {
    ...own,
    needs: { root: true, commands: { systemctl: "systemd", setpriv: "util-linux" } },
    observe: (probe) => observeServices(probe, WATCHER[kind]),
    diagnose: (facts) => diagnoseServices(facts, kind),
    plan: (facts) => (facts.kind === kind ? planServices(facts) : []),
    run: async (context) => {
      const [{ createNotifier }, { runWatcher }] = await Promise.all([
        import("../machine/notify.ts"),
        import("../watch/run.ts"),
      ]);
      await runWatcher(context, await createNotifier());
      return 0;
    },
    calls: {
      install_files: installFiles,
      make_place: makePlace,
      clear_place: clearPlace,
      go_live: goLive,
      leave_live: leaveLive,
      take_up: takeUp,
      give_up: giveUp,
    },
    unasked: unaskedServices,
    fingerprint: ({ program, engines, units }) => ({
      release: program?.id ?? null,
      engines: engines.map(({ id }) => id),
      units: units.map(({ name }) => name),
    }),
    digest: (facts) => ({
      kind: facts.kind,
      release: facts.installed ?? null,
      serving: facts.serving ?? null,
      engines: facts.engines.map(({ id }) => id),
      given_up: facts.givenUp,
      engine_memory: facts.memory?.most ?? null,
      peers: [...facts.peers],
      units: facts.units.map(({ name, enabled, active }) => ({ name, enabled, active })),
    }),
  };
}

/** Files first, then what runs from them: taken back, it goes the other way round. Pure. */
function planServices(facts: ServicesFacts): readonly Step[] {
  const { program, engines, units } = facts;
  if (!program || units.length === 0) return [];
  const [live] = engines;
  return [
    ...(program.there ? [] : [installStep(program.files, `release ${program.id}`)]),
    ...engines
      .filter(({ there }) => !there)
      .map(({ id, files }) => installStep(files, `engine ${id}`)),
    ...(facts.place ? [] : [PLACE_STEP]),
    ...goLiveSteps(program.id, facts),
    // before the units: one that is started by its own step starts from what was taken up
    ...(facts.givenUp && live ? [takeUpStep(live.id)] : []),
    ...units
      .filter((unit) => !(unit.sameFiles && unit.enabled && unit.active))
      .map(({ name, files }): Step => ({
        do: "service",
        name,
        files,
        enabled: true,
        active: true,
      })),
    ...facts.stale.map((path): Step => ({ do: "remove", path })),
  ];
}

/** Nothing where the wanted release serves already. One that was installed before and given up is started again here; else the units' steps do it. Pure. */
function goLiveSteps(release: string, facts: ServicesFacts): readonly Step[] {
  const { installed, links } = facts;
  const { current, serves } = linksOf(release);
  if (links.current === current && links.serves === serves) return [];
  const before = facts.proven ?? facts.before;
  const wanted: Links = {
    current,
    serves,
    ...(before === undefined || before === release ? {} : { before }),
  };
  return [liveStep(release, wanted, links, installed === release)];
}
