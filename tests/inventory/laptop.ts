/** What shadow and phantom say alike. */

const kib = (gib: number) => Math.round(gib * 2 ** 20);
/** /proc/meminfo with so much memory, half of it free. */
export const meminfo = (gib: number, swapGib: number) =>
  `MemTotal: ${kib(gib)} kB\nMemFree: 1000000 kB\nMemAvailable: ${kib(gib / 2)} kB\nSwapTotal: ${kib(swapGib)} kB\nSwapFree: ${kib(swapGib)} kB\n`;

/** What battery and mains say unless a test says otherwise. */
export const POWER = {
  hasBattery: true,
  percent: 80,
  isCharging: true,
  acConnected: true,
  designedCapacity: 52_000,
  maxCapacity: 48_000,
  cycleCount: 210,
  capacityUnit: "mWh",
};

/** systeminformation on a real laptop. */
export const SYSTEM = {
  battery: () => Promise.resolve(POWER),
  system: () => Promise.resolve({ virtual: false, virtualHost: "" }),
};

/** smartctl as a user. */
export const SMART_DENIED = JSON.stringify({
  smartctl: {
    exit_status: 2,
    messages: [
      { string: "Smartctl open device: /dev/sda failed: Permission denied", severity: "error" },
    ],
  },
});
