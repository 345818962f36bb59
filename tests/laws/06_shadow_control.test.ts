/** The laws on 06_shadow_control, on a host that shared.cfg gives the role. */
import { unit } from "../../scripts/06_shadow_control.ts";
import { servicesLaws } from "../support/services_laws.ts";

servicesLaws(unit, "shadow");
