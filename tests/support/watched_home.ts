/** A home on this machine with something to watch: a gateway that tells its status, an engine, and a paired host behind mutual TLS. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority } from "./certificates.ts";

/** What the stand-ins answer; a test may change it as it goes. */
export interface Answers {
  gateway: boolean;
  engine: "up" | "down" | "unknown";
  /** Status of the engine's own /health. */
  health: number;
  /** So many of the next looks at it fail, whatever `health` says. */
  failing: number;
  /** Whether it answers a real question. */
  tokens: boolean;
  peer: boolean;
}

/** The home and its stand-ins. */
export interface WatchedHome {
  readonly home: string;
  readonly answers: Answers;
  /** How often each was asked. */
  readonly asked: Record<"status" | "health" | "tokens" | "peer", number>;
  stop(): void;
}

const KEY = "0123456789abcdef0123456789abcdef";

/** Makes it in `folder`; `root` is put before the paths in the documents' place, for a fake machine. */
export function watchedHome(folder: string, home: string, inside = home): WatchedHome {
  const answers: Answers = {
    gateway: true,
    engine: "up",
    health: 200,
    failing: 0,
    tokens: true,
    peer: true,
  };
  const asked = { status: 0, health: 0, tokens: 0, peer: 0 };
  const refuse = () => new Response(null, { status: 500 });
  const engine = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/health") {
        asked.health++;
        const fails = answers.failing > 0;
        if (fails) answers.failing--;
        return new Response("{}", { status: fails ? 500 : answers.health });
      }
      if (request.headers.get("Authorization") !== `Bearer ${KEY}`) return refuse();
      if (pathname === "/v1/models") return Response.json({ data: [{ id: "small" }] });
      asked.tokens++;
      return answers.tokens ? Response.json({ choices: [{ text: "!" }] }) : refuse();
    },
  });
  const gateway = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch() {
      asked.status++;
      if (!answers.gateway) return refuse();
      return Response.json({ engines: [{ name: "here", kind: "local", state: answers.engine }] });
    },
  });
  mkdirSync(join(home, "runtime", "trust"), { recursive: true });
  const authority = makeAuthority(folder);
  const [ours, theirs] = [authority.issue("here"), authority.issue("there")];
  const peer = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: {
      cert: readFileSync(theirs.cert, "utf8"),
      key: readFileSync(theirs.key, "utf8"),
      ca: readFileSync(authority.ca, "utf8"),
      requestCert: true,
      rejectUnauthorized: true,
    },
    fetch() {
      asked.peer++;
      return answers.peer ? Response.json({ engine: "up", models: [] }) : refuse();
    },
  });
  const place = (file: string, from: string) => {
    writeFileSync(join(home, "runtime", file), readFileSync(from), { mode: 0o600 });
    return join(inside, "runtime", file);
  };
  writeFileSync(join(home, "runtime", "key"), KEY, { mode: 0o600 });
  const keyFile = join(inside, "runtime", "key");
  const document = {
    schema: 1,
    host: "here",
    listen: { address: "127.0.0.1", port: gateway.port, keyFile },
    pairing: {
      cert: place("here.pem", ours.cert),
      key: place("here.key", ours.key),
      ca: place("ca.pem", authority.ca),
    },
    engines: [
      { name: "here", kind: "local", url: `http://127.0.0.1:${engine.port}`, keyFile },
      {
        name: "there",
        kind: "peer",
        url: `https://127.0.0.1:${peer.port}`,
        fingerprint: theirs.fingerprint,
      },
    ],
  };
  writeFileSync(join(home, "runtime", "gateway.json"), JSON.stringify(document));
  const publicKey = `ssh-ed25519 ${"A".repeat(68)}`;
  const trust = {
    schema: 1,
    name: "there",
    address: "127.0.0.1",
    port: 1,
    user: "op",
    home: "/home/op/.mountain_shelter",
    hostKeys: [publicKey],
    keys: { mirror: publicKey, witness: publicKey, operator: publicKey, signing: publicKey },
    certificate: readFileSync(theirs.cert, "utf8"),
    pairedAt: new Date().toISOString(),
  };
  writeFileSync(join(home, "runtime", "trust", "there.json"), JSON.stringify(trust));
  return {
    home,
    answers,
    asked,
    stop() {
      for (const server of [engine, gateway, peer]) void server.stop(true);
    },
  };
}
