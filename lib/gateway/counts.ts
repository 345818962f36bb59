/** What the gateway has done since it started: numbers only, never a word of a prompt or an answer. */

/** One number for each kind of end. */
export interface Counts {
  /** Requests that were let in. */
  asked: number;
  /** Answers that came to their end. */
  answered: number;
  /** Clients that left before that. */
  left: number;
  /** Answers that were refused or broke off, by code. */
  refused: Record<string, number>;
  /** Times that another engine went on with an answer. */
  carriedOver: number;
  /** Times that an answer was asked anew, before anything was shown. */
  startedAnew: number;
  /** Streams of engines that failed, by kind. */
  faults: Record<string, number>;
  /** Answers that were given to peers. */
  relayed: number;
}

/** All at zero. */
export function noCounts(): Counts {
  return {
    asked: 0,
    answered: 0,
    left: 0,
    refused: {},
    carriedOver: 0,
    startedAnew: 0,
    faults: {},
    relayed: 0,
  };
}
