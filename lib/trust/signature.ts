/** Signing bin/SHA256SUMS with this host's signing key, and checking a host's signature: OpenSSH's own form (ssh-keygen -Y, PROTOCOL.sshsig). */
import { dirname, join } from "node:path";
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName } from "../unit.ts";
import { ownPublicKey } from "./store.ts";

/** A signature of ours means something only under this name (ssh-keygen(1), -n). */
const NAMESPACE = "mountain-shelter";

/** Signs a file; the signature stands beside it as `<path>.sig`. */
export async function signFile(probe: Probe, act: Act, path: string): Promise<void> {
  const key = inHome.identity(probe.home, "signing");
  act.remove(`${path}.sig`);
  const ran = await act.run([
    "ssh-keygen",
    "-q",
    "-Y",
    "sign",
    "-n",
    NAMESPACE,
    "-f",
    act.real(key),
    act.real(path),
  ]);
  if (ran.code !== 0)
    throw new ShelterError("signing-failed", `signing ${path}`, ran.stderr.trim());
}

/** Signs a text, e.g. a challenge, and gives the armoured signature. */
export async function signText(probe: Probe, act: Act, text: string): Promise<string> {
  const path = inHome.work(probe.home, "signing", crypto.randomUUID());
  act.makeFolder(dirname(path));
  try {
    act.write(path, text);
    await signFile(probe, act, path);
    return probe.text(`${path}.sig`) ?? "";
  } finally {
    act.remove(path);
    act.remove(`${path}.sig`);
  }
}

/** True when `signature` (armoured) over `text` is of `publicKey`. */
export async function isSignedBy(
  probe: Probe,
  act: Act,
  text: string,
  signature: string,
  signer: HostName,
  publicKey: string,
): Promise<boolean> {
  const folder = inHome.work(probe.home, "signing", crypto.randomUUID());
  act.makeFolder(folder);
  try {
    act.write(join(folder, "allowed"), `${signer} namespaces="${NAMESPACE}" ${publicKey}\n`);
    act.write(join(folder, "sig"), signature);
    const ran = await act.run(
      verifyArgv(act.real(join(folder, "allowed")), signer, act.real(join(folder, "sig"))),
      { input: text, timeout: 20_000 },
    );
    return ran.code === 0;
  } finally {
    act.remove(folder);
  }
}

/** Whether SHA256SUMS in `folder` (bin/ when left out) carries our own valid signature. */
export async function sumsAreSigned(
  probe: Probe,
  folder: string = join(probe.home, "bin"),
): Promise<boolean> {
  const sums = probe.text(join(folder, "SHA256SUMS"));
  const key = ownPublicKey(probe, "signing");
  const signature = join(folder, "SHA256SUMS.sig");
  if (sums === undefined || key === undefined || probe.stat(signature) === undefined) return false;
  // check-novalidate proves the signature itself and names its key: a list of allowed signers would have to be written
  const ran = await probe.run(
    ["ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", signature],
    { input: sums, timeout: 20_000 },
  );
  return ran.code === 0 && ran.stdout.includes(fingerprint(key));
}

/** OpenSSH's SHA256 fingerprint of a public key, "SHA256:…" without padding. */
export function fingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
  return `SHA256:${new Bun.CryptoHasher("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

function verifyArgv(allowed: string, signer: HostName, signature: string): readonly string[] {
  return [
    "ssh-keygen",
    "-Y",
    "verify",
    "-f",
    allowed,
    "-I",
    signer,
    "-n",
    NAMESPACE,
    "-s",
    signature,
  ];
}
