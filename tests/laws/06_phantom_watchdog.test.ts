/** The laws on 06_phantom_watchdog, on a host that is neither by its name: every host but shadow's kind is phantom's. */
import { unit } from "../../scripts/06_phantom_watchdog.ts";
import { servicesLaws } from "../support/services_laws.ts";

servicesLaws(unit, undefined);
