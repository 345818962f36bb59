/** Dangerous patterns that no program of ours needs: what bandit is for Python. */
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

/** Hosts that plain HTTP may talk to: this machine's own. */
const LOOPBACK = /^https?:\/\/(127\.\d+\.\d+\.\d+|\[::1\]|localhost)(?=[:/]|$)/;

/** Settings that switch certificate checks off. */
const UNCHECKED = new Set(["NODE_TLS_REJECT_UNAUTHORIZED", "--insecure", "--no-check-certificate"]);

/** Hashes that can be forged. */
const BROKEN_HASH = /^(md4|md5|sha1|sha-1|ripemd160)$/i;

/** Bans shells, guessable randomness, plain HTTP, unchecked certificates, broken hashes, loose modes and guessable temporary names. */
export const dangers: Rule = {
  create(context) {
    const ban = (node: Node, message: string) => context.report({ node, message });
    return {
      Property: (node) => property(node, ban),
      Literal: (node) => literal(node, ban),
      TemplateElement: (node) => template(node, ban),
      MemberExpression(node) {
        if (nameOf(child(node, "object")) === "Math" && keyOf(node) === "random") {
          ban(node, "Math.random can be guessed: use node:crypto");
        }
      },
      ImportDeclaration(node) {
        if (text(child(node, "source"))?.replace(/^node:/, "") !== "child_process") return;
        for (const imported of children(node, "specifiers")) {
          const name = nameOf(child(imported, "imported"));
          if (name === undefined ? imported["importKind"] !== "type" : /^exec(Sync)?$/.test(name)) {
            ban(
              imported,
              "a command line goes through a shell: import spawn and give it an argument array",
            );
          }
        }
      },
      CallExpression: (node) => call(node, ban),
      NewExpression: (node) => call(node, ban),
    };
  },
};

type Ban = (node: Parameters<Context["report"]>[0]["node"], message: string) => void;

function property(node: Node, ban: Ban): void {
  const value = child(node, "value");
  switch (keyOf(node)) {
    case "shell":
      if (value?.type === "Literal" && value["value"] !== false)
        ban(node, "no shell: give an argument array");
      break;
    case "rejectUnauthorized":
      if (value?.["value"] === false) ban(node, "certificates are always checked");
      break;
    case "mode":
      if (value && isLoose(value)) ban(node, "group and others never write to what is ours");
      break;
    default:
  }
}

function literal(node: Node, ban: Ban): void {
  const value = text(node);
  if (value !== undefined) words(node, value, ban);
}

function template(node: Node, ban: Ban): void {
  const value = node["value"];
  if (typeof value === "object" && value !== null && "cooked" in value)
    words(node, String(value.cooked), ban);
}

function words(node: Node, value: string, ban: Ban): void {
  if (UNCHECKED.has(value)) ban(node, "certificates are always checked");
  if (value.startsWith("http://") && value.length > "http://".length && !LOOPBACK.test(value)) {
    ban(node, "plain HTTP only to this machine itself");
  }
  if (/^\/(var\/)?tmp\/./.test(value))
    ban(node, "a guessable name in a shared folder: use runtime/work");
}

function call(node: Node, ban: Ban): void {
  const callee = child(node, "callee");
  const name = nameOf(callee) ?? (callee?.type === "MemberExpression" ? keyOf(callee) : undefined);
  const given = children(node, "arguments");
  if ((name === "createHash" || name === "createHmac" || name === "CryptoHasher") && given[0]) {
    if (BROKEN_HASH.test(text(given[0]) ?? "")) ban(node, "this hash can be forged: use sha256");
  }
  if (/^(l?chmod|fchmod)(Sync)?$/.test(name ?? "") && given.some(isLoose)) {
    ban(node, "group and others never write to what is ours");
  }
}

/** A mode, written in octal, that lets group or others write. 0o7777 and 0o777 are masks, and a sticky folder is meant to be shared. */
function isLoose(node: Node): boolean {
  const { value, raw } = node;
  if (node.type !== "Literal" || typeof value !== "number" || typeof raw !== "string") return false;
  return /^0o/i.test(raw) && (value & 0o1000) === 0 && (value & 0o022) !== 0;
}
