/** Making this host's own identity: ssh keys by role, and the gateway's certificate. Private halves never leave their files. */
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { Call, CallContext } from "../unit.ts";
import { signFile } from "./signature.ts";
import { GATEWAY_CERTIFICATE, GATEWAY_KEY } from "./store.ts";

/** Days a gateway's certificate lasts. Both sides pin it, so the term only bounds how long a lost key is of use. */
const CERTIFICATE_DAYS = 397;

/** Makes a key pair for each role in `roles`, ed25519 without a passphrase: services use them with nobody at the keyboard. */
export const makeKeys: Call = async (context, { roles }) => {
  const { probe, act } = context;
  act.makeFolder(inHome.identity(probe.home));
  for (const role of roles as readonly string[]) {
    const path = inHome.identity(probe.home, role);
    act.remove(path); // a private key without its public half, or the other way round, is of no use
    act.remove(`${path}.pub`);
    await must(context, "making a key", [
      ...[
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        `mountain-shelter ${probe.host} ${role}`,
      ],
      ...["-f", act.real(path)],
    ]);
    act.chmod(path, 0o600);
    act.chmod(`${path}.pub`, 0o600);
  }
};

/** Makes the gateway's key and self-signed certificate (P-256), good for both ends of mutual TLS (RFC 5280, 4.2.1.12). */
export const makeCertificate: Call = async (context) => {
  const { probe, act } = context;
  act.makeFolder(inHome.identity(probe.home));
  const [key, certificate] = [GATEWAY_KEY, GATEWAY_CERTIFICATE].map((name) =>
    inHome.identity(probe.home, name),
  );
  const extension = (text: string) => ["-addext", text];
  await must(context, "making the gateway's certificate", [
    ...[
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-batch",
    ],
    ...["-keyout", act.real(`${key}.new`), "-out", act.real(`${certificate}.new`)],
    ...["-days", String(CERTIFICATE_DAYS), "-subj", `/CN=${probe.host}`],
    ...extension(`subjectAltName=DNS:${probe.host}`),
    ...extension("extendedKeyUsage=serverAuth,clientAuth"),
    ...extension("keyUsage=critical,digitalSignature"),
    ...extension("basicConstraints=critical,CA:FALSE"),
  ]);
  act.chmod(`${key}.new`, 0o600);
  act.chmod(`${certificate}.new`, 0o600);
  act.replaceWith(key ?? "", `${key}.new`);
  act.replaceWith(certificate ?? "", `${certificate}.new`);
};

/** Signs bin/SHA256SUMS. */
export const signSums: Call = ({ probe, act }) =>
  signFile(probe, act, `${probe.home}/bin/SHA256SUMS`);

async function must(
  { act, signal }: CallContext,
  what: string,
  argv: readonly string[],
): Promise<void> {
  const ran = await act.run(argv, { timeout: 60_000, signal });
  signal.throwIfAborted();
  if (ran.code !== 0)
    throw new ShelterError("key-failed", what, ran.stderr.trim().split("\n").slice(-2).join(" "));
}
