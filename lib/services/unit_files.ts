/** The text of the systemd units. Pure. systemd.unit(5), systemd.service(5), systemd.exec(5), for systemd 252 and later. */
import type { ScriptId } from "../unit.ts";
import { liveProgram } from "./live.ts";
import {
  ACT_SOCKET_UNIT,
  ACT_TEMPLATE,
  ENGINE_UNIT,
  GATEWAY_UNIT,
  LIVE,
  SYSTEMD,
  TOP,
  WATCH_UNIT,
} from "./places.ts";
import { devices, homeOf, SANDBOX, SCRUBBED, sections } from "./sandbox.ts";
import { ACT_SOCKET } from "./verbs.ts";

/** What the units are made from. */
export interface UnitWorld {
  readonly home: string;
  /** Name of the home's owner, or their number. */
  readonly user: string;
  readonly uid: number;
  readonly group: string;
  readonly release: string;
  /** Builds of the engine: the live one, and the last good one before it. */
  readonly build: string;
  readonly before?: string | undefined;
  /** Whether the engine computes on a GPU, and whether the host has one to watch. */
  readonly gpu: { readonly engine: boolean; readonly host: boolean };
  /** Folders outside the home that links in it lead to, e.g. models on another disk. */
  readonly elsewhere: readonly string[];
  /** Bytes that the engine may take. */
  readonly engineMemory: number;
  /** The script that is the watcher. */
  readonly watcher: ScriptId;
}

/** One unit to be installed: its own file first. */
export interface UnitText {
  readonly name: string;
  readonly files: readonly { readonly path: string; readonly content: string }[];
}

const MIB = 2 ** 20;

/** All units, in the order in which they start. */
export function unitTexts(world: UnitWorld): readonly UnitText[] {
  const unit = (name: string, content: string) => ({
    name,
    files: [{ path: `${SYSTEMD}/${name}`, content }],
  });
  const socket = unit(ACT_SOCKET_UNIT, socketText(world));
  return [
    {
      ...socket,
      files: [...socket.files, { path: `${SYSTEMD}/${ACT_TEMPLATE}`, content: actText(world) }],
    },
    unit(ENGINE_UNIT, engineText(world)),
    unit(GATEWAY_UNIT, gatewayText(world)),
    unit(WATCH_UNIT, watchText(world)),
  ];
}

/** Root listens for its fixed acts; only the home's owner may connect. */
function socketText({ user, group }: UnitWorld): string {
  return sections({
    Unit: ["Description=Mountain Shelter: what the watcher may ask root for"],
    Socket: [
      `ListenStream=${ACT_SOCKET}`,
      `SocketUser=${user}`,
      `SocketGroup=${group}`,
      "SocketMode=0600",
      "RemoveOnStop=yes",
      "Accept=yes",
      "MaxConnections=4",
    ],
    Install: ["WantedBy=sockets.target"],
  });
}

/** One act of root's: a word in, a word out. It sees no home at all. */
function actText({ release }: UnitWorld): string {
  return sections({
    Unit: ["Description=Mountain Shelter: one act as root", "CollectMode=inactive-or-failed"],
    Service: [
      "Type=simple",
      `ExecStart=${liveProgram(release)} act`,
      "StandardInput=socket",
      "StandardOutput=socket",
      "StandardError=journal",
      "TimeoutStartSec=30",
      "RuntimeMaxSec=30",
      "MemoryMax=256M",
      `UnsetEnvironment=${SCRUBBED}`,
      // the governor is a file in /sys
      ...SANDBOX.filter((line) => line !== "ProtectKernelTunables=yes"),
      "ProtectHome=yes",
      "PrivateDevices=yes",
      "PrivateNetwork=yes",
      `ReadWritePaths=${TOP}/engine ${LIVE} /run`,
      "RestrictAddressFamilies=AF_UNIX",
    ],
  });
}

function engineText(world: UnitWorld): string {
  const { release, build, before, engineMemory } = world;
  const program = liveProgram(release);
  const given = before === undefined ? "" : ` --before ${before}`;
  return sections({
    Unit: [
      "Description=Mountain Shelter: the engine",
      "After=network.target shelter-act.socket",
      ...startLimit(5),
    ],
    Service: [
      ...service(world),
      // as root and outside the sandbox; put back however the engine ends
      `ExecStartPre=-+${program} act governor-performance`,
      `ExecStart=${program} engine run --build ${build}${given}`,
      `ExecStopPost=-+${program} act governor-back`,
      "Restart=always",
      "RestartSec=1",
      // a large model on a slow disk: the program itself gives up sooner where something is wrong
      "TimeoutStartSec=30min",
      "TimeoutStopSec=15",
      // told to stop is the program alone, which then stops the engine: an engine that ends first would look like one that died
      "KillMode=mixed",
      `MemoryMax=${Math.ceil(engineMemory / MIB)}M`,
      // what is killed for want of memory is the engine, and all of it
      "OOMPolicy=kill",
      "OOMScoreAdjust=500",
      ...SANDBOX,
      ...homeOf(world, { write: ["runtime"], hide: ["runtime/identity", "runtime/trust"] }),
      ...devices(world.gpu.engine),
      "ProtectProc=invisible",
      "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
      "IPAddressDeny=any",
      "IPAddressAllow=localhost",
    ],
    Install: ["WantedBy=multi-user.target"],
  });
}

function gatewayText(world: UnitWorld): string {
  return sections({
    Unit: [
      "Description=Mountain Shelter: the gateway",
      // no Requires, BindsTo or PartOf: the engine may come and go
      "After=network-online.target",
      "Wants=network-online.target",
      ...startLimit(10),
    ],
    Service: [
      ...service(world),
      `ExecStart=${liveProgram(world.release)} gateway run`,
      "Restart=always",
      "RestartSec=500ms",
      "TimeoutStartSec=60",
      "TimeoutStopSec=20",
      "WatchdogSec=30",
      "MemoryMax=512M",
      "OOMScoreAdjust=-100",
      ...SANDBOX,
      ...homeOf(world, { write: ["runtime"], hide: [] }),
      ...devices(false),
      "ProtectProc=invisible",
      "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    ],
    Install: ["WantedBy=multi-user.target"],
  });
}

function watchText(world: UnitWorld): string {
  return sections({
    Unit: [
      "Description=Mountain Shelter: the watcher",
      "After=network.target shelter-act.socket shelter-engine.service shelter-gateway.service",
      ...startLimit(10),
    ],
    Service: [
      ...service(world),
      `ExecStart=${liveProgram(world.release)} ${world.watcher} run`,
      "Restart=always",
      "RestartSec=5",
      "TimeoutStartSec=60",
      "TimeoutStopSec=20",
      "WatchdogSec=60",
      "MemoryMax=256M",
      "OOMScoreAdjust=-500",
      ...SANDBOX,
      // the person's desktop is told by its bus, which a login makes after us, and by a command that may stand in their home
      "ProtectHome=read-only",
      `Environment=XDG_RUNTIME_DIR=/run/user/${world.uid} DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/${world.uid}/bus`,
      `ReadWritePaths="${world.home}"`,
      ...devices(world.gpu.host),
      "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    ],
    Install: ["WantedBy=multi-user.target"],
  });
}

/** Systemd stops trying after so many starts in ten minutes; what comes then is the watcher's to decide, with a back-off. */
function startLimit(starts: number): readonly string[] {
  return ["StartLimitIntervalSec=10min", `StartLimitBurst=${starts}`];
}

function service({ user, group, home }: UnitWorld): readonly string[] {
  return [
    "Type=notify",
    "NotifyAccess=main",
    `User=${user}`,
    `Group=${group}`,
    `Environment="SHELTER_HOME=${home}"`,
    `UnsetEnvironment=${SCRUBBED}`,
    "UMask=0077",
  ];
}
