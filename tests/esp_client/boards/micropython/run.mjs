// Runs a script on MicroPython: `node run.mjs FOLDER SCRIPT`. FOLDER has the modules of esp_client.
// `# ---` separates phases of the script: this port collects garbage only between phases.
import { readFileSync, readdirSync } from "node:fs";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";

const [folder, script] = process.argv.slice(2);
const micropython = await loadMicroPython({ linebuffer: true, stdout: (line) => console.log(line) });
micropython.FS.mkdir("/lib");
micropython.FS.mkdir("/lib/esp_client");
for (const name of readdirSync(folder))
  micropython.FS.writeFile(`/lib/esp_client/${name}`, readFileSync(`${folder}/${name}`));
// The VM has no network: this fake socket returns the responses.
micropython.FS.writeFile("/lib/socket.py", readFileSync(new URL("socket.py", import.meta.url)));
for (const phase of readFileSync(script, "utf8").split("# ---\n")) micropython.runPython(phase);
