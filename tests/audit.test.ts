/** The audit against a registry of our own: clean, with a hole, without the service, gone. */
import { afterEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { audit } from "./audit.ts";

const REPOSITORY = resolve(import.meta.dir, "..");
const cleanUp: (() => void)[] = [];
afterEach(() => cleanUp.splice(0).forEach((undo) => undo()));

function project(): string {
  const folder = mkdtempSync(join(tmpdir(), "shelter-audit-"));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  for (const file of ["package.json", "bun.lock"])
    cpSync(join(REPOSITORY, file), join(folder, file));
  return folder;
}

/** A registry in a process of its own, since the audit blocks this one. */
async function registry(status: number, body: string): Promise<string> {
  const program = `
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(${JSON.stringify(body)}, { status: ${status} }) });
    console.log(server.url.href);`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
  cleanUp.push(() => child.kill());
  for await (const chunk of child.stdout) return new TextDecoder().decode(chunk).trim();
  throw new Error("the registry did not start");
}
const at = (url: string) => ({ BUN_CONFIG_REGISTRY: url, NPM_CONFIG_REGISTRY: url });

const HOLE = {
  yaml: [
    {
      id: 1,
      url: "https://example.org/1",
      title: "planted",
      severity: "high",
      vulnerable_versions: "<99.0.0",
      cwe: [],
      cvss: { score: 7, vectorString: "" },
    },
  ],
};

test("no hole", async () => {
  expect(audit(project(), at(await registry(200, "{}")))).toEqual({ state: "clean" });
});
test("a hole is named", async () => {
  const url = await registry(200, JSON.stringify(HOLE));
  expect(audit(project(), at(url))).toEqual({ state: "holes", packages: ["yaml"] });
});
test("no such service", async () => {
  const result = audit(project(), at(await registry(405, "")));
  expect(result).toEqual({ state: "unasked", why: "the registry answers HTTP 405" });
});
test("no registry at all", () => {
  expect(audit(project(), at("http://127.0.0.1:9/")).state).toBe("unasked");
});
