/** What a forced command was asked for: words of a fixed vocabulary, read as data. sshd hands over whatever the other side sent. */
import { ShelterError } from "../errors.ts";

/** A request of at most this many characters is looked at; rsync's server line is the longest of ours. */
const LIMIT = 4096;

/** The words of SSH_ORIGINAL_COMMAND. Throws for anything that a shell would change, because no shell is ever given it. */
export function requestWords(request: string | undefined): readonly string[] {
  const text = request?.trim() ?? "";
  if (text.length > LIMIT) throw refused("it is too long");
  if (text === "") throw refused("it is empty: this key opens no shell");
  const words = text.split(/ +/);
  const odd = words.find((word) => !/^[\w@%+=:,./-]+$/.test(word));
  if (odd !== undefined) throw refused("it holds characters that are not part of any request");
  return words;
}

/** The error for a request that this key may not make. */
export function refused(why: string): ShelterError {
  return new ShelterError("request-refused", "a request of a paired host", why);
}
