/** Firmware: Secure Boot from EFI variables. */

/** The EFI variables that together tell of Secure Boot: each one's first byte of data, undefined where it is not there. */
export interface SecureBootBytes {
  /** SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c (UEFI 2.10, 3.3). */
  readonly secureBoot: number | undefined;
  /** SetupMode, same vendor: 1 while no platform key is enrolled, so that anyone may enrol keys. */
  readonly setupMode: number | undefined;
  /** MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23: 1 where shim was told not to check (shim's MokVars.txt). */
  readonly mokState: number | undefined;
}

/** "on": what boots is checked. "shim-off": the firmware checks shim, and shim nothing further. "setup": no keys enrolled. */
export type SecureBoot = "on" | "off" | "setup" | "shim-off";

/** What the three variables say together; undefined where the firmware has no SecureBoot variable. */
export function secureBootState(bytes: SecureBootBytes): SecureBoot | undefined {
  if (bytes.secureBoot === undefined) return undefined;
  if (bytes.setupMode === 1) return "setup";
  if (bytes.secureBoot !== 1) return "off";
  return bytes.mokState === 1 ? "shim-off" : "on";
}

/** The first byte of data of an EFI variable as efivarfs gives it: four bytes of attributes come first (Linux, efivarfs). */
export function efiByte(content: Uint8Array): number | undefined {
  return content.length > 4 ? content[4] : undefined;
}
