/** Noir: the colours, and text painted with them where the terminal wants colour. */

/** The palette. gold and accent_gold are accents: at most one accent_gold on a screen. */
export const NOIR = {
  bg_dark: "#0d0d0d",
  gold: "#c5b47f",
  steel: "#7a8383",
  taupe: "#666350",
  sage: "#808c81",
  copper: "#9c5c34",
  slate: "#444c48",
  rust: "#8d4d32",
  dark_gold: "#8B7355",
  dark_grey: "#1a1a1a",
  accent_gold: "#DAA520",
  shadow: "#080808",
} as const;
/** A colour's name. */
export type Colour = keyof typeof NOIR;
/** Paints a text, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

/** Paints with 24-bit colour (ECMA-48 SGR 38;2), or leaves text as it is. */
export function painter(colours: boolean): Paint {
  if (!colours) return (_, text) => text;
  return (colour, text) => {
    const hex = NOIR[colour];
    const part = (at: number) => Number.parseInt(hex.slice(at, at + 2), 16);
    return `\u001b[38;2;${part(1)};${part(3)};${part(5)}m${text}\u001b[39m`;
  };
}

/** Whether a stream should be painted: https://no-color.org, and only on a terminal that can. */
export function wantsColour(
  isTerminal: boolean,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTerminal && !env["NO_COLOR"] && env["TERM"] !== "dumb";
}
