/** Completion scripts for bash, zsh and fish, made from the same data as the help. */

/** A word that can be completed, with what it is for. */
export interface Word {
  readonly name: string;
  readonly summary: string;
}
/** A flag, without its dashes. */
export interface FlagWord extends Word {
  readonly takesValue: boolean;
}
/** One command of the 22, or one subcommand of `shelter`. */
export interface CommandWords {
  readonly name: string;
  readonly flags: readonly FlagWord[];
  /** Words that can stand after it, e.g. scripts or shells. */
  readonly words: readonly Word[];
}
/** All that can be completed: `shelter` with its subcommands, and each script. */
export interface Vocabulary {
  readonly shelter: CommandWords & { readonly subcommands: readonly CommandWords[] };
  /** The script that is `shelter` under its long name. */
  readonly alias: string;
  readonly scripts: readonly CommandWords[];
}
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** The completion script of a shell; to be sourced, or put where the shell looks for completions. */
export function completionScript(shell: Shell, vocabulary: Vocabulary): string {
  return { bash, zsh, fish }[shell](vocabulary);
}

/** Text between single quotes, as all POSIX shells read it. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
/** The commands that stand after `shelter`: its own, then the scripts. */
const afterShelter = ({ shelter, scripts }: Vocabulary) => [...shelter.subcommands, ...scripts];
const flagNames = (command: CommandWords) => command.flags.map(({ name }) => `--${name}`);
const valueFlags = (command: CommandWords) =>
  command.flags.filter(({ takesValue }) => takesValue).map(({ name }) => `--${name}`);

function bash(vocabulary: Vocabulary): string {
  const { shelter, alias, scripts } = vocabulary;
  const choices = (command: CommandWords) =>
    quoted([...command.words.map(({ name }) => name), ...flagNames(command)].join(" "));
  const cases = afterShelter(vocabulary).map(
    (command) =>
      `    ${command.name}) words=${choices(command)}; values=${quoted(valueFlags(command).join(" "))} ;;`,
  );
  return `# bash completion of the Mountain Shelter. Use: source <(shelter completions bash)
_mountain_shelter() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[0]##*/} words values
  if [[ $command == shelter || $command == ${alias} ]] && (( COMP_CWORD > 1 )); then command=\${COMP_WORDS[1]}; fi
  case $command in
${cases.join("\n")}
    *) words=${choices(shelter)}; values=${quoted(valueFlags(shelter).join(" "))} ;;
  esac
  if [[ " $values " == *" $before "* ]]; then COMPREPLY=( $(compgen -f -- "$current") ); return; fi
  COMPREPLY=( $(compgen -W "$words" -- "$current") )
}
complete -F _mountain_shelter shelter ${alias} ${scripts.map(({ name }) => name).join(" ")}
`;
}

function zsh(vocabulary: Vocabulary): string {
  const { shelter, alias, scripts } = vocabulary;
  const describe = ({ name, summary }: Word, dashes = "") =>
    quoted(`${dashes}${name}:${summary.replaceAll(":", "\\:")}`);
  const choices = (command: CommandWords) =>
    `choices=( ${command.words.map((word) => describe(word)).join(" ")} ) flags=( ${command.flags.map((flag) => describe(flag, "--")).join(" ")} ) values=${quoted(valueFlags(command).join(" "))}`;
  const cases = afterShelter(vocabulary).map(
    (command) => `    ${command.name}) ${choices(command)} ;;`,
  );
  const names = [alias, ...scripts.map(({ name }) => name)].join(" ");
  return `#compdef shelter ${names}
# zsh completion of the Mountain Shelter. Use: source <(shelter completions zsh), or save as _shelter in a folder of $fpath
_mountain_shelter() {
  local -a choices flags
  local command=\${words[1]:t} before=\${words[CURRENT-1]} values
  if [[ $command == (shelter|${alias}) ]] && (( CURRENT > 2 )); then command=\${words[2]}; fi
  case $command in
${cases.join("\n")}
    *) ${choices(shelter)} ;;
  esac
  if [[ " $values " == *" $before "* ]]; then _files; return; fi
  _describe -t commands command choices
  _describe -t flags flag flags
}
if (( $+functions[compdef] )); then compdef _mountain_shelter shelter ${names}; fi
if [[ $funcstack[1] == _shelter ]]; then _mountain_shelter "$@"; fi
`;
}

function fish(vocabulary: Vocabulary): string {
  const { shelter, alias, scripts } = vocabulary;
  const escaped = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const line = (command: string, when: string, rest: string) =>
    `complete -c ${command}${when === "" ? "" : ` -n ${escaped(when)}`} ${rest}`;
  const all = (command: string, when: string, of: CommandWords) => [
    ...of.words.map(({ name, summary }) =>
      line(command, when, `-f -a ${escaped(name)} -d ${escaped(summary)}`),
    ),
    ...of.flags.map(({ name, summary, takesValue }) =>
      line(command, when, `-l ${name}${takesValue ? " -r" : ""} -d ${escaped(summary)}`),
    ),
  ];
  return `${[
    "# fish completion of the Mountain Shelter. Use: shelter completions fish | source",
    ...["shelter", alias].flatMap((name) => [
      ...all(name, "__fish_use_subcommand", shelter),
      ...afterShelter(vocabulary).flatMap((command) =>
        all(name, `__fish_seen_subcommand_from ${command.name}`, command),
      ),
    ]),
    ...scripts.flatMap((script) => all(script.name, "", script)),
  ].join("\n")}\n`;
}
