/** Shapes of JSON documents: one declaration checks a document from outside and gives its type. */

/** What a value must look like to be a T. */
export interface Shape<T> {
  /** What is wrong and where, or undefined for a T. `at` is the place that is being looked at, e.g. "stable.cpu". */
  check(value: unknown, at: string): string | undefined;
  /** Carries the type; never there. */
  readonly type?: T;
}

/** The type that a shape describes. */
export type Of<S> = S extends Shape<infer T> ? T : never;

type Members = Readonly<Record<string, Shape<unknown>>>;
type Required<M extends Members> = { readonly [K in keyof M]: Of<M[K]> };
type Optional<M extends Members> = { readonly [K in keyof M]?: Of<M[K]> };

/** A longest text that is believed: what a machine says of itself is short. */
const MAX_TEXT = 4096;

/** A text of a length that is believed. */
export const text: Shape<string> = {
  check: (value, at) =>
    typeof value === "string" && value.length <= MAX_TEXT ? undefined : `${at} is not a text`,
};

/** A finite number. */
export const number: Shape<number> = {
  check: (value, at) =>
    typeof value === "number" && Number.isFinite(value) ? undefined : `${at} is not a number`,
};

/** True or false. */
export const yes: Shape<boolean> = {
  check: (value, at) => (typeof value === "boolean" ? undefined : `${at} is not true or false`),
};

/** One of a few texts. */
export function oneOf<const T extends string>(...allowed: readonly T[]): Shape<T> {
  return {
    check: (value, at) =>
      (allowed as readonly unknown[]).includes(value)
        ? undefined
        : `${at} is none of ${allowed.join(", ")}`,
  };
}

/** A list of one kind of thing. */
export function list<T>(of: Shape<T>): Shape<readonly T[]> {
  return {
    check: (value, at) => {
      if (!Array.isArray(value)) return `${at} is not a list`;
      return first(value.map((one, index) => () => of.check(one, `${at}[${index}]`)));
    },
  };
}

/** Any names, each with one kind of value. */
export function table<T>(of: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return {
    check: (value, at) => {
      if (!isObject(value)) return `${at} is not a table`;
      return first(
        Object.entries(value).map(
          ([key, one]) =>
            () =>
              of.check(one, `${at}.${key}`),
        ),
      );
    },
  };
}

/** An object with the members `must`; others are let be. */
export function object<M extends Members>(must: M): Shape<Required<M>> {
  return {
    check: (value, at) => {
      if (!isObject(value)) return `${at} is not an object`;
      return first(
        Object.entries(must).map(
          ([key, of]) =>
            () =>
              of.check(value[key], `${at}.${key}`),
        ),
      );
    },
  };
}

/** An object that has the members `must`, and perhaps those of `may`. */
export function open<M extends Members, O extends Members>(
  must: M,
  may: O,
): Shape<Required<M> & Optional<O>> {
  const required = object(must);
  return {
    check: (value, at) => {
      const wrong = required.check(value, at);
      if (wrong !== undefined || !isObject(value)) return wrong;
      return first(
        Object.entries(may).map(
          ([key, of]) =>
            () =>
              value[key] === undefined ? undefined : of.check(value[key], `${at}.${key}`),
        ),
      );
    },
  };
}

/** One of two shapes; what is wrong is told of the first. */
export function either<A, B>(one: Shape<A>, other: Shape<B>): Shape<A | B> {
  return {
    check: (value, at) =>
      one.check(value, at) === undefined || other.check(value, at) === undefined
        ? undefined
        : one.check(value, at),
  };
}

function first(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const wrong = check();
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
