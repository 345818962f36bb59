/** The layer rule: scripts -> rooms -> keep -> machine, and nothing outside `lib/machine` touches the world. */
import { dirname, relative, resolve } from "node:path";
import {
  child,
  children,
  keyOf,
  nameOf,
  text,
  type Context,
  type Node,
  type Rule,
} from "./estree.ts";
import { isInTheWorld, objection } from "./house.ts";

/** Judges every import, also late ones, re-exports and `require`. */
export const layers: Rule = {
  create(context) {
    const from = relative(context.cwd, context.filename);
    const judge = (node: Node, late: boolean) => {
      if (isTypeOnly(node)) return;
      const written = text(child(node, "source") ?? children(node, "arguments")[0]);
      if (written === undefined) {
        if (!isInTheWorld(from)) {
          context.report({
            node,
            message: "what is imported must stand in the source as a string",
          });
        }
        return;
      }
      const what = written.startsWith(".")
        ? `./${relative(context.cwd, resolve(dirname(context.filename), written))}`
        : written;
      const message = objection({ from, what, late });
      if (message !== undefined) context.report({ node, message });
    };
    const named = (node: Node) => {
      if (child(node, "source")) judge(node, false);
    };
    return {
      ImportDeclaration: (node) => judge(node, false),
      ExportAllDeclaration: (node) => judge(node, false),
      ExportNamedDeclaration: named,
      ImportExpression: (node) => judge(node, true),
      CallExpression(node) {
        const callee = child(node, "callee");
        const required =
          nameOf(callee) === "require" ||
          (callee?.type === "MemberExpression" && keyOf(callee) === "require");
        if (required) judge(node, true);
      },
    };
  },
};

/** What of Bun's own interface only computes. */
const BUN_PURE = new Set([
  "ArrayBufferSink",
  "CryptoHasher",
  "deepEquals",
  "embeddedFiles",
  "escapeHTML",
  "hash",
  "inspect",
  "nanoseconds",
  "revision",
  "semver",
  "sleep",
  "stringWidth",
  "stripANSI",
  "version",
  "wrapAnsi",
]);

/** What of `process` reaches past this process. */
const PROCESS_WORLDLY = new Set([
  "kill",
  "chdir",
  "umask",
  "dlopen",
  "binding",
  "setuid",
  "setgid",
]);

/** Globals that open a socket or start a thread; the bare names are banned by `no-restricted-globals`. */
const GLOBAL_WORLDLY = new Set([
  "Bun",
  "fetch",
  "WebSocket",
  "EventSource",
  "XMLHttpRequest",
  "Worker",
]);

/** Bans the runtime's own ways into the world outside `lib/machine`. */
export const world: Rule = {
  create(context: Context) {
    if (isInTheWorld(relative(context.cwd, context.filename))) return {};
    const ban = (node: Node, what: string) =>
      context.report({ node, message: `only lib/machine uses ${what}: use Probe or Act` });
    return {
      MemberExpression(node) {
        const object = nameOf(child(node, "object"));
        const key = keyOf(node);
        if (object === "Bun" && (key === undefined || !BUN_PURE.has(key)))
          ban(node, `Bun.${key ?? "[…]"}`);
        if (object === "process" && key !== undefined && PROCESS_WORLDLY.has(key))
          ban(node, `process.${key}`);
        if (object === "globalThis" && (key === undefined || GLOBAL_WORLDLY.has(key))) {
          ban(node, `globalThis.${key ?? "[…]"}`);
        }
      },
      VariableDeclarator(node) {
        const name = nameOf(child(node, "init"));
        if (name === "Bun" || name === "globalThis") ban(node, `${name} under another name`);
      },
    };
  },
};

/** `import type …`, `export type …`, or an import of which each name is marked as a type. */
function isTypeOnly(node: Node): boolean {
  if (node["importKind"] === "type" || node["exportKind"] === "type") return true;
  const names = children(node, "specifiers");
  return (
    names.length > 0 &&
    names.every((name) => name["importKind"] === "type" || name["exportKind"] === "type")
  );
}
