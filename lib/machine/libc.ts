/** The C library, for what neither node nor Bun offers. */
import type { FFIFunction, Library } from "bun:ffi";
import { ShelterError } from "../errors.ts";

/** Loads functions of the C library, under glibc's name, else under musl's. @throws ShelterError "libc-absent" */
export async function openLibc<Functions extends Record<string, FFIFunction>>(
  functions: Functions,
): Promise<Library<Functions>["symbols"]> {
  const { dlopen } = await import("bun:ffi");
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  let why: unknown;
  for (const name of ["libc.so.6", `libc.musl-${machine}.so.1`]) {
    try {
      return dlopen(name, functions).symbols;
    } catch (error) {
      why = error;
    }
  }
  throw new ShelterError("libc-absent", "loading the C library", String(why));
}
