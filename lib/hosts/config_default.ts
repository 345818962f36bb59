/** The shared.cfg that the first run writes: nothing is set, everything is explained. */
import { DEFAULT_CONFIG as D } from "./settings.ts";

/** Text of a fresh shared.cfg: comments alone, so that it means exactly the defaults. Never written over an existing file. */
export const DEFAULT_CONFIG_TEXT = `# Mountain Shelter: the settings of both hosts, in YAML. This file is yours: no script ever overwrites it.
# Everything here is optional. What is commented out shows the form; a value after "default:" holds when nothing is set.
# After a change: 00_check_structure --plan names the line of whatever is wrong.

# The hosts of the shelter, by name. A host finds itself by its system's host name.
#hosts:
#  phantom:
#    address: phantom.lan         # name or address that ssh reaches it by
#    user: rc                     # who owns the home there
#    target: bun-linux-x64        # default: bun-linux-x64. Also bun-linux-x64-baseline (no AVX2), bun-linux-arm64
#    roles: [engine, agents]      # words of your own
#  shadow:
#    address: 192.168.1.20
#    user: rc
#    hostname: debian             # where the system's own host name is not "shadow"
#    home: ~/.mountain_shelter    # default: ~/.mountain_shelter
#    roles: [engine]

# Further binaries to build, each in bin/<name>/. The rescue image's runs on any x86-64 CPU.
#targets:
#  rescue: bun-linux-x64-baseline  # default

# Models to install, by their names in the catalogue. With none, the installer takes the small one.
#models: [mistral-7b-v0.3]

# How many generations stay, the live one included.
#retention:
#  builds: ${D.retention.builds}       # default. Builds of the engine
#  releases: ${D.retention.releases}     # default. Releases of these programs
#  snapshots: ${D.retention.snapshots}   # default. Snapshots that --undo can go back to
#  mirrors: ${D.retention.mirrors}      # default. Generations of what the other host mirrored here

# Partial downloads and build trees in runtime/work that nothing touched for this long are removed.
#work:
#  max_age_days: ${D.work.maxAgeDays}  # default

# The least a model must reach on a host, in tokens per second; below it the benchmark says so (exit code 15).
#baselines:
#  phantom:
#    mistral-7b-v0.3:
#      prompt: 40
#      generation: 8

# Where the services listen, the same on all hosts: people and agents ask the gateway on loopback, paired hosts come in at peers.
#ports:
#  gateway: ${D.ports.gateway}     # default
#  engine: ${D.ports.engine}      # default
#  peers: ${D.ports.peers}       # default

# A program of your own that is told of each alert: JSON on its standard input, no shell, 30 seconds at most. It stands outside the
# home, belongs to you or root, and nobody else may change it. Each host runs it only once you allowed it there: shelter watch --allow-command
#alerts:
#  command: [/usr/local/bin/tell-me, --from, shelter]
`;
