// Licences of the bundled packages; an unknown one fails the build.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ALLOWED = new Set(["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD"]);
// The last one lists packages in the bundle of swagger-ui-dist.
const TEXT = /^(licen[cs]e|copying|notice|thirdpartynotices|swagger-ui-es-bundle\.js\.license)/i;

const HEAD = `Rollcall's pages in the browser are made of the packages below, each under its own licence.
`;

/** Names, versions and licence texts of the packages that esbuild's inputs come from. */
export async function notices(inputs) {
  const folders = new Set();
  for (const input of inputs) {
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input);
    if (folder) folders.add(folder[0]);
  }
  const sections = await Promise.all([...folders].sort().map(section));
  // Without duplicates: some packages contain copies of others.
  return [HEAD, ...new Set(sections)].join("\n");
}

async function section(folder) {
  const root = fileURLToPath(new URL(folder, import.meta.url));
  const about = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  if (!ALLOWED.has(about.license)) {
    throw new Error(`${about.name} ${about.version} has the licence ${about.license}: check whether it may be bundled, then add it to ALLOWED.`);
  }
  const files = (await readdir(root)).filter((name) => TEXT.test(name)).sort();
  const texts = await Promise.all(files.map((name) => readFile(join(root, name), "utf8")));
  if (texts.length === 0) texts.push(`${author(about)}Licence: ${about.license}\n`);
  const rule = "=".repeat(78);
  const title = `${about.name} ${about.version} (${about.license})`;
  return [rule, title, rule, ...texts.map((text) => text.replaceAll("\r\n", "\n").trim()), ""].join(
    "\n",
  );
}

function author({ author }) {
  const name = typeof author === "string" ? author : author?.name;
  return name ? `Copyright (c) ${name}\n` : "";
}
