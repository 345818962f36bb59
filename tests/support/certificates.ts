/** Certificates of a test's own, made by openssl in a folder of the test's own. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fingerprintOf } from "../../lib/machine/listen.ts";
import { readFileSync } from "node:fs";

/** A certificate and its key, as files. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
  readonly fingerprint: string;
}

/** An authority of the test's own. */
export interface Authority {
  /** Its own certificate: whom the hosts believe. */
  readonly ca: string;
  issue(name: string, days?: number): Issued;
}

/** Makes an authority; files go into `folder`. */
export function makeAuthority(folder: string, name = "authority"): Authority {
  const at = (file: string) => join(folder, file);
  const ca = at(`${name}.pem`);
  const request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl([
    ...request,
    "-x509",
    "-days",
    "2",
    "-keyout",
    at(`${name}.key`),
    "-out",
    ca,
    "-subj",
    `/CN=${name}`,
  ]);
  return {
    ca,
    issue(host, days = 2) {
      const [cert, key, asked, more] = ["pem", "key", "csr", "ext"].map((end) =>
        at(`${name}-${host}.${end}`),
      ) as [string, string, string, string];
      writeFileSync(more, `subjectAltName=IP:127.0.0.1,DNS:${host}`);
      openssl([...request, "-keyout", key, "-out", asked, "-subj", `/CN=${host}`]);
      // openssl 3.0 takes no dates in the past here; a life of -1 days has ended yesterday
      openssl([
        "x509",
        "-req",
        "-in",
        asked,
        "-CA",
        ca,
        "-CAkey",
        at(`${name}.key`),
        "-days",
        String(days),
        "-extfile",
        more,
        "-out",
        cert,
      ]);
      return { cert, key, fingerprint: fingerprintOf(readFileSync(cert, "utf8")) };
    },
  };
}

function openssl(argv: readonly string[]): void {
  const { success, stderr } = Bun.spawnSync(["openssl", ...argv]);
  if (!success) throw new Error(stderr.toString());
}
