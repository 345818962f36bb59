/** API keys of the services: made once, kept, and never shown. */
import { randomBytes } from "node:crypto";
import { keyIn } from "../gateway/key.ts";
import type { CallContext } from "../unit.ts";
import { inServices } from "./places.ts";

/** Makes the key file where it is not there or empty: 256 bits, 0600. */
export function ensureKey({ probe, act }: Pick<CallContext, "probe" | "act">, path: string): void {
  if (keyIn(probe.text(path)) !== undefined) return;
  act.makeFolder(inServices.folder(probe.home));
  act.write(path, `${randomBytes(32).toString("hex")}\n`, 0o600);
}
