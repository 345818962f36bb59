/** The API key: compared so that the time taken tells nothing about it. */
import { createHash, timingSafeEqual } from "node:crypto";

/** Whether an Authorization header carries the key. Both are hashed first: equal lengths, whatever was sent. */
export function carriesKey(header: string | undefined, key: string): boolean {
  const given = /^Bearer +(.*)$/i.exec(header ?? "")?.[1] ?? "";
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(key)) && key !== "";
}

/** The key in a key file: its first line. */
export function keyIn(text: string | undefined): string | undefined {
  const key = text?.split("\n", 1)[0]?.trim();
  return key === "" ? undefined : key;
}
