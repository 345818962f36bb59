/** Why the network failed a package manager's client, in few words: its own are a traceback or a page of advice. Pure. */

/** Forms of pip 23 (by its urllib3) and of npm 9 to 11, as they were said when the network was cut before and amid a download. */
const FORMS: readonly RegExp[] = [
  /Failed to establish a new connection: \[Errno -?\d+\] ([^'"()]+)/g,
  /Connection (?:broken|aborted)\W+\w+\((?:\d+, )?'([^']+)'/g,
  /(Cannot connect to proxy)/g,
  /(Connection to \S+ timed out)/g,
  /(Read timed out)/g,
  /^npm (?:ERR!|error) .*\breason: (.+)$/gm,
];

/** The last such reason in what a client said; undefined where it failed for another one. */
export function networkReason(said: string): string | undefined {
  const found = FORMS.flatMap((form) => [...said.matchAll(form)]);
  return found
    .sort((a, b) => a.index - b.index)
    .at(-1)?.[1]
    ?.trim();
}
