/** Our own lint rules, loaded by `.oxlintrc.json`. */
import { dangers } from "./dangers.ts";
import { layers, world } from "./layers.ts";

const plugin = { meta: { name: "shelter" }, rules: { layers, world, dangers } };
export default plugin;
