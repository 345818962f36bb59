/** Reads what moves: temperatures, battery and mains. */
import { filled, gapless } from "../facts/text.ts";
import type { Probe } from "../machine/probe.ts";
import type { Moving } from "./document.ts";
import { absent, failed } from "./known.ts";

/** All temperature sensors that the kernel shows, in degrees Celsius. Sensors that are off or read nonsense are left out. */
export function observeTemperatures(probe: Probe): Moving["temperatures"] {
  const found: Moving["temperatures"][number][] = [];
  for (const chip of probe.list("/sys/class/hwmon")) {
    const at = `/sys/class/hwmon/${chip}`;
    const name = filled(probe.text(`${at}/name`)) ?? chip;
    for (const file of probe.list(at)) {
      const sensor = /^(temp\d+)_input$/.exec(file)?.[1];
      const celsius = sensor === undefined ? undefined : degrees(probe.text(`${at}/${file}`));
      if (sensor === undefined || celsius === undefined) continue;
      const label = filled(probe.text(`${at}/${sensor}_label`));
      const critical = degrees(probe.text(`${at}/${sensor}_crit`));
      found.push({
        name: label === undefined ? name : `${name} ${label}`,
        celsius,
        ...gapless({ critical }),
      });
    }
  }
  if (found.length > 0) return found;
  for (const zone of probe.list("/sys/class/thermal")) {
    if (!/^thermal_zone\d+$/.test(zone)) continue;
    const at = `/sys/class/thermal/${zone}`;
    const celsius = degrees(probe.text(`${at}/temp`));
    if (celsius !== undefined)
      found.push({ name: filled(probe.text(`${at}/type`)) ?? zone, celsius });
  }
  return found;
}

/** sysfs has thousandths of a degree (Linux, hwmon/sysfs-interface). What no chip survives is a sensor that is not connected. */
function degrees(text: string | undefined): number | undefined {
  const milli = /^-?\d{1,7}$/.test(text?.trim() ?? "") ? Number(text) : Number.NaN;
  const celsius = Math.round(milli / 100) / 10;
  return celsius > -40 && celsius < 150 ? celsius : undefined;
}

/** Battery and mains, as systeminformation reads them. */
export async function observePower(probe: Probe): Promise<Moving["power"]> {
  try {
    const { battery } = await probe.system();
    const found = await battery();
    if (!found.hasBattery) {
      return { battery: absent("the machine has no battery"), mains: absent("only laptops tell") };
    }
    const { designedCapacity, maxCapacity, cycleCount } = found;
    const count = (value: number) => (Number.isFinite(value) && value > 0 ? value : undefined);
    return {
      battery: {
        percent: count(found.percent) ?? 0,
        charging: found.isCharging,
        ...gapless({
          designed: count(designedCapacity),
          full: count(maxCapacity),
          cycles: count(cycleCount),
        }),
      },
      mains: found.acConnected,
    };
  } catch (error) {
    const why = `systeminformation: ${error instanceof Error ? error.message : String(error)}`;
    return { battery: failed(why), mains: failed(why) };
  }
}
