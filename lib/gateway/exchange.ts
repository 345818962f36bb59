/** One request to one engine, watched to its end: the engine's death or silence ends it, and whoever leaves early ends the engine's work. */
import type { Engine, OpenStream } from "./engine.ts";
import { Unable } from "./errors.ts";
import { StreamFault } from "./sse.ts";

/**
 * Posts `body` and yields what `read` makes of the response.
 * @throws StreamFault where the engine failed, Unable as `read` threw it, or the reason of `signal`
 */
export async function* exchange<T>(
  engine: Engine,
  request: { readonly path: string; readonly body: string; readonly signal: AbortSignal },
  read: (response: Response, stream: OpenStream) => AsyncGenerator<T, void>,
): AsyncGenerator<T, void> {
  const { path, body, signal } = request;
  signal.throwIfAborted(); // what has fired already is heard by no listener
  const ending = new AbortController();
  const leave = () => ending.abort(signal.reason);
  const stream = engine.enter((fault) => ending.abort(fault), body.length);
  signal.addEventListener("abort", leave, { once: true });
  try {
    const response = await engine.dial(engine.config.url + path, {
      method: "POST",
      headers: engine.headers(),
      body,
      signal: ending.signal,
    });
    yield* read(response, stream);
  } catch (error) {
    signal.throwIfAborted();
    if (ending.signal.aborted) throw ending.signal.reason as Error;
    if (error instanceof StreamFault || error instanceof Unable) throw error;
    throw new StreamFault("cut", `${engine.name} can't be reached`);
  } finally {
    signal.removeEventListener("abort", leave);
    engine.leave(stream);
    ending.abort(new Error("over"));
  }
}
