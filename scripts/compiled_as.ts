/** How our programs are compiled, whatever is in them. */
export const COMPILED_AS = {
  target: "bun",
  format: "esm",
  splitting: true,
  bytecode: true,
  minify: true,
  sourcemap: "none",
} as const;

/** No file of the folder that a program is called in has a say in what it does. */
export const SEALED = { autoloadDotenv: false, autoloadBunfig: false } as const;
