// Runs a script on a real MicroPython: `node run.mjs FOLDER SCRIPT`, FOLDER being esp_client's
// modules. Phases of the script are parted by `# ---`: this port collects garbage between them only.
import { readFileSync, readdirSync } from "node:fs";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";

const [folder, script] = process.argv.slice(2);
const micropython = await loadMicroPython({ linebuffer: true, stdout: (line) => console.log(line) });
micropython.FS.mkdir("/lib");
micropython.FS.mkdir("/lib/esp_client");
for (const name of readdirSync(folder))
  micropython.FS.writeFile(`/lib/esp_client/${name}`, readFileSync(`${folder}/${name}`));
// The VM has no network: this socket plays the server's answer.
micropython.FS.writeFile("/lib/socket.py", readFileSync(new URL("socket.py", import.meta.url)));
for (const phase of readFileSync(script, "utf8").split("# ---\n")) micropython.runPython(phase);
