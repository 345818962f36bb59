/** The bar of an installation, from what apt 2.6 said to a pipe (Debian 12), the mirror's name replaced. */
import { expect, test } from "bun:test";
import { aptProgress } from "../../lib/steps/apt_progress.ts";

const SAID = `Reading package lists...
Building dependency tree...
The following NEW packages will be installed:
  libslirp0 slirp4netns
0 upgraded, 2 newly installed, 0 to remove and 125 not upgraded.
Need to get 100 kB of archives.
After this operation, 268 kB of additional disk space will be used.
Get:1 http://mirror.example/debian bookworm/main amd64 libslirp0 amd64 4.7.0-1 [63.0 kB]
Get:2 http://mirror.example/debian bookworm/main amd64 slirp4netns amd64 1.2.0-1 [37.5 kB]
debconf: delaying package configuration, since apt-utils is not installed
Fetched 100 kB in 0s (3808 kB/s)
Selecting previously unselected package libslirp0:amd64.
(Reading database ... 114828 files and directories currently installed.)
Preparing to unpack .../libslirp0_4.7.0-1_amd64.deb ...
Unpacking libslirp0:amd64 (4.7.0-1) ...
Selecting previously unselected package slirp4netns.
Preparing to unpack .../slirp4netns_1.2.0-1_amd64.deb ...
Unpacking slirp4netns (1.2.0-1) ...
Setting up libslirp0:amd64 (4.7.0-1) ...
Setting up slirp4netns (1.2.0-1) ...
Processing triggers for libc-bin (2.36-9+deb12u14) ...`;

function shown(text: string) {
  const lines: string[] = [];
  const bar: string[] = [];
  const follow = aptProgress({
    line: (line) => void lines.push(line),
    progress: (label, done, total, unit) => void bar.push(`${label} ${done}/${total} ${unit}`),
  });
  for (const line of text.split("\n")) follow(line);
  return { lines, bar };
}

test("fetching, unpacking and setting up each package move the bar to its end", () => {
  const { lines, bar } = shown(SAID);
  expect(lines).toEqual(["apt brings 2 packages, 100 kB to fetch"]);
  expect(bar).toEqual([1, 2, 3, 4, 5, 6].map((done) => `apt ${done}/6 steps`));
});

test("one bar over two runs: the one that downloads, and the one that installs from what came", () => {
  const [fetched = "", installed = ""] = SAID.split(
    /(?=^Selecting previously unselected package libslirp0)/m,
  );
  const counted = "0 upgraded, 2 newly installed, 0 to remove and 125 not upgraded.";
  const both = `${fetched}${counted}\nNeed to get 0 B/100 kB of archives.\n${installed}`;
  const { lines, bar } = shown(both);
  expect(lines).toEqual(["apt brings 2 packages, 100 kB to fetch"]);
  expect(bar).toEqual([1, 2, 3, 4, 5, 6].map((done) => `apt ${done}/6 steps`));
});

test("a package that apt had fetched before counts as fetched: the bar comes to its end", () => {
  const [fetched = "", installed = ""] = SAID.replace(/^Get:2 .*\n/m, "").split(
    /(?=^Selecting previously unselected package libslirp0)/m,
  );
  const counted = "0 upgraded, 2 newly installed, 0 to remove and 125 not upgraded.";
  const { bar } = shown(`${fetched}${counted}\n${installed}`);
  expect(bar).toEqual([1, 3, 4, 5, 6].map((done) => `apt ${done}/6 steps`));
});

test("lists that are fetched are no packages, and a bar never passes its end", () => {
  expect(shown("Get:1 http://mirror.example/debian bookworm InRelease [151 kB]").bar).toEqual([]);
  expect(shown(`${SAID}\nSetting up more (1) ...`).bar.length).toBe(6);
});
