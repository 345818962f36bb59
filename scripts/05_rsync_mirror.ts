#!/usr/bin/env bun
/** Mirrors what this host has to the hosts that it is paired with: verified, switched by one link, and taken back by --undo. */
import { main } from "../lib/cli.ts";
import { type MirrorFacts, observeMirror } from "../lib/mirror/facts.ts";
import { fetchModel, noteModels, takeTheirs } from "../lib/mirror/fetch.ts";
import { diagnoseMirror } from "../lib/mirror/findings.ts";
import { digestMirror, fingerprintMirror, pictureMirror } from "../lib/mirror/picture.ts";
import { planMirror } from "../lib/mirror/plan.ts";
import { push, takeBack } from "../lib/mirror/push.ts";
import { signRelease } from "../lib/mirror/release.ts";
import { unaskedMirror } from "../lib/mirror/unasked.ts";
import type { Unit } from "../lib/unit.ts";

const HOUR = 3_600_000;

export const unit: Unit<MirrorFacts> = {
  id: "05_rsync_mirror",
  flag: "mirror_synced",
  summary: "Mirror the two hosts",
  needs: { commands: { rsync: "rsync", ssh: "openssh-client", "ssh-keygen": "openssh-client" } },
  staleAfter: HOUR,
  flags: {
    take: {
      type: "string",
      description: "Where both hosts changed PATH: which version is taken",
      valueHint: "mine|theirs",
      wants: (value) => (/^(mine|theirs)$/.test(value) ? undefined : "it takes mine or theirs"),
    },
    path: { type: "positional", description: "What --take is about", required: false },
  },
  observe: observeMirror,
  diagnose: diagnoseMirror,
  plan: planMirror,
  calls: {
    push,
    take_back: takeBack,
    fetch_model: fetchModel,
    note_models: noteModels,
    take_theirs: takeTheirs,
    sign_release: signRelease,
  },
  unasked: unaskedMirror,
  fingerprint: fingerprintMirror,
  digest: digestMirror,
  picture: pictureMirror,
};

if (import.meta.main) await main(unit);
