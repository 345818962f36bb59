/** HAProxy in front of the lab's two engines, at the best setting that was found for them: what a proxy that does not know what it carries can do. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ADDRESS, said, type TwoHosts } from "../lab/two_hosts.ts";

/** Where it listens on shadow. */
export const HAPROXY_PORT = 8780;
/** Where phantom's engine is reached from shadow. */
const RELAY_PORT = 8781;
const ENGINE_PORT = 8771;

/**
 * Both engines active and the first preferred: a `backup` is not used for a retry until the other is marked down. The request is kept whole so that it can
 * be sent again; a server that falls silent is down after half a second, and its open connections are ended.
 */
const CONFIGURATION = `global
  tune.bufsize 262144
defaults
  mode http
  timeout connect 1s
  timeout client 120s
  timeout server 120s
  timeout check 250ms
  option http-buffer-request
  option redispatch 1
  retries 3
  retry-on all-retryable-errors
frontend clients
  bind 127.0.0.1:${HAPROXY_PORT}
  default_backend engines
backend engines
  balance first
  option httpchk GET /health
  default-server check inter 250ms fall 2 rise 2 maxconn 64 on-marked-down shutdown-sessions
  server shadow 127.0.0.1:${ENGINE_PORT}
  server phantom ${ADDRESS.phantom}:${RELAY_PORT}
`;

const RELAY_SOCKET = `[Socket]
ListenStream=${ADDRESS.phantom}:${RELAY_PORT}
FreeBind=yes
`;
const RELAY_SERVICE = `[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:${ENGINE_PORT}
`;

/** Starts it on shadow, and on phantom a plain relay to the engine, which listens on loopback alone. */
export async function startHaproxy(lab: TwoHosts): Promise<void> {
  writeFileSync(join(lab.phantom.root, "etc/systemd/system/relay.socket"), RELAY_SOCKET);
  writeFileSync(join(lab.phantom.root, "etc/systemd/system/relay.service"), RELAY_SERVICE);
  await said(lab.phantom, ["systemctl", "daemon-reload"]);
  await said(lab.phantom, ["systemctl", "start", "relay.socket"]);
  writeFileSync(join(lab.shadow.root, "etc/haproxy/haproxy.cfg"), CONFIGURATION);
  const run = ["haproxy", "-W", "-f", "/etc/haproxy/haproxy.cfg"];
  await said(lab.shadow, ["systemd-run", "--quiet", "--unit=bench-haproxy", ...run]);
}

/** Makes it forget what it thinks of the engines. */
export async function restartHaproxy(lab: TwoHosts): Promise<void> {
  await said(lab.phantom, ["systemctl", "start", "relay.socket"]);
  await said(lab.shadow, ["systemctl", "stop", "bench-haproxy"]);
  await startHaproxy(lab);
}
