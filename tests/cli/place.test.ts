/** Which folders may be a home. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { findPlace } from "../../lib/cli/place.ts";
import { fakeMachine, type FakeWorld } from "../support/fake_machine.ts";

let world: FakeWorld;
beforeEach(() => {
  world = fakeMachine({ files: { "/etc/passwd": "" } });
  world.write("/home/op/system", { link: world.path("/etc") });
});
afterEach(() => world.dispose());

test("the system's folders and a person's whole home are none", async () => {
  const refused = ["/", "/etc", "/etc/ssl", "/usr/lib/x", "/usr/local", "/lib64", "/tmp", "/home"];
  for (const path of [...refused, "/root", "/var/lib", "/dev/shm", "/home/op", "/home/op/system"]) {
    await expect(findPlace(world.machine, path)).rejects.toThrow("a folder of its own");
  }
  await expect(findPlace(world.machine, "/etc")).rejects.toMatchObject({
    fix: ["./bin/shelter", "status", "--home", "/home/op/.mountain_shelter"],
  });
});

test("a folder of its own is one, wherever it stands", async () => {
  const taken = ["/home/op/.mountain_shelter", "/srv/shelter", "/tmp/x", "/usr/local/x", "/data"];
  for (const path of [...taken, "/var/lib/shelter", "/dev/shm/x", "/etcetera"]) {
    expect((await findPlace(world.machine, path)).home).toBe(path);
  }
});
