// The same gateway, whose client waits as long as the model thinks.

import { serve } from "./gateway.mjs";

await fetch("data:,"); // loads Node's undici; with the package of npm: import { Agent } from "undici"
const Agent = globalThis[Symbol.for("undici.globalDispatcher.1")].constructor;

serve({ dispatcher: new Agent({ bodyTimeout: 0 }) });
