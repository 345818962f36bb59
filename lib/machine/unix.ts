/** Asking a local service over its unix socket: one line there, one line back. */
import { createConnection } from "node:net";
import { ShelterError } from "../errors.ts";

/** Longest answer that is believed, in characters. */
const LIMIT = 4096;

/**
 * Sends one line to the socket at `path` and reads the answer until the other side closes.
 * @throws ShelterError "socket-silent" where nobody listens, nobody answers within `patience` milliseconds, or the answer is too long.
 */
export function askSocket(path: string, line: string, patience: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      connection.destroy();
      reject(new ShelterError("socket-silent", `asking ${path}`, why));
    };
    let answer = "";
    const connection = createConnection(path, () => connection.write(`${line}\n`));
    connection.setEncoding("utf8");
    connection.setTimeout(patience, () => fail(`no answer within ${patience} ms`));
    connection.on("data", (text: string) => {
      answer += text;
      if (answer.length > LIMIT) fail("the answer is too long");
    });
    connection.on("error", (error) => fail(error.message));
    connection.on("end", () => {
      connection.destroy();
      resolve(answer.trim());
    });
  });
}
