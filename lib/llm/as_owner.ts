/** Programs that root has no business running: builders and engines run as the home's owner, and what they make is the owner's. */
import { inHome } from "../keep/home.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";

/** What goes before a command line, and into its environment, so that it runs as the home's owner; nothing where that is who we are. */
export function asOwner(
  probe: Pick<Probe, "home" | "me" | "owner" | "text">,
  act: Pick<Act, "real">,
): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  const { uid, gid } = probe.owner;
  if (!probe.me.root || uid === probe.me.uid) return { argv: [], env: {} };
  const known = (probe.text("/etc/passwd") ?? "")
    .split("\n")
    .some((row) => row.split(":")[2] === String(uid));
  return {
    argv: [
      ...["setpriv", `--reuid=${uid}`, `--regid=${gid}`],
      // with the owner's further groups: a GPU is often the group render's
      known ? "--init-groups" : "--clear-groups",
      // a change of user takes back the order to die with us, so it is given anew
      ...["--pdeathsig", "KILL", "--"],
    ],
    // root's own HOME and temporary folder are closed to them
    env: { HOME: act.real(inHome.work(probe.home)), TMPDIR: "/tmp" },
  };
}
