/** The little of a linter's plugin interface and of its syntax tree (ESTree) that our rules look at. */

/** A node of the syntax tree. Its fields are looked at with the functions below, which expect nothing. */
export interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** What a rule is told about the file it looks at. */
export interface Context {
  /** Absolute path of the file. */
  readonly filename: string;
  /** Where the linter was started: the root of the repository. */
  readonly cwd: string;
  report(problem: { readonly node: Node; readonly message: string }): void;
}

/** Called for each node of a kind. */
export type Visitor = Readonly<Record<string, (node: Node) => void>>;

/** One rule of the plugin. */
export interface Rule {
  readonly create: (context: Context) => Visitor;
}

/** A field that holds a node. */
export function child(node: Node | undefined, field: string): Node | undefined {
  const value = node?.[field];
  return isNode(value) ? value : undefined;
}

/** A field that holds a list of nodes. */
export function children(node: Node | undefined, field: string): readonly Node[] {
  const value = node?.[field];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** The text of a string literal, or of a template without values. */
export function text(node: Node | undefined): string | undefined {
  if (node?.type === "Literal" && typeof node["value"] === "string") return node["value"];
  if (node?.type !== "TemplateLiteral") return undefined;
  const [only, ...more] = children(node, "quasis");
  if (only === undefined || more.length > 0) return undefined;
  const value = only["value"];
  return typeof value === "object" && value !== null && "cooked" in value
    ? String(value.cooked)
    : undefined;
}

/** The name of an identifier. */
export function nameOf(node: Node | undefined): string | undefined {
  return node?.type === "Identifier" && typeof node["name"] === "string" ? node["name"] : undefined;
}

/** The key of a property or member, written plainly or as a string: `a.b`, `a["b"]`, `{ b: … }`, `{ "b": … }`. */
export function keyOf(node: Node): string | undefined {
  const key = child(node, node.type === "MemberExpression" ? "property" : "key");
  return node["computed"] === true ? text(key) : (nameOf(key) ?? text(key));
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value;
}
