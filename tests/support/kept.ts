/** What a test makes and nobody may find after it: fake machines, homes. */
import { afterEach } from "bun:test";

/** Something that is to be ended or removed. */
interface Disposable {
  dispose(): void;
}

/** Called once at the top of a test file. What is given to the function that comes back is kept until the test that made it has ended, however it ends. */
export function keptForEachTest(): <T extends Disposable>(made: T) => T {
  const kept: Disposable[] = [];
  afterEach(() => {
    for (const one of kept.splice(0)) one.dispose();
  });
  return (made) => {
    kept.push(made);
    return made;
  };
}
