// Builds the pages into a folder: `node build.mjs <folder>`. The output is reproducible.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import esbuild from "esbuild";
import { notices } from "./licences.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));

const ENTRIES = {
  page: "src/page.jsx",
  editor: "node_modules/monaco-editor/esm/vs/editor/editor.worker.js",
  json: "node_modules/monaco-editor/esm/vs/language/json/json.worker.js",
  graphql: "node_modules/monaco-graphql/esm/graphql.worker.js",
  docs: "src/docs.js",
};
const PAGES = ["page", "docs"];

// Imports of GraphiQL and Monaco, and the smaller files that replace them.
const REPLACEMENTS = {
  "./editor.all.js": "src/editor_features.js",
  "prettier/parser-graphql": "node_modules/prettier/plugins/graphql.mjs",
  "prettier/parser-babel": "src/prettier_json.js",
  "prettier/plugins/estree": "src/prettier_json.js",
};

const replacements = {
  name: "replacements",
  setup(build) {
    const imports = Object.keys(REPLACEMENTS).map((name) => name.replaceAll(".", "\\."));
    build.onResolve({ filter: new RegExp(`^(${imports.join("|")})$`) }, ({ path }) => ({
      path: join(HERE, REPLACEMENTS[path]),
    }));
  },
};

const options = {
  absWorkingDir: HERE,
  bundle: true,
  chunkNames: "part-[hash]",
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  define: { "process.env.NODE_ENV": '"production"' },
  format: "esm",
  jsx: "automatic",
  legalComments: "none", // licences.txt has them all
  loader: { ".ttf": "file" },
  metafile: true,
  minify: true,
  outdir: "out",
  plugins: [replacements],
  splitting: true,
  target: ["chrome111", "firefox114", "safari16.4"],
  write: false,
};

/** The prepared tabs: operations/*.graphql with the variables of the same name in JSON. */
async function preparedTabs() {
  const folder = join(HERE, "operations");
  const names = (await readdir(folder)).filter((name) => name.endsWith(".graphql")).sort();
  return Promise.all(
    names.map(async (name) => {
      const read = async (file) => (await readFile(join(folder, file), "utf8")).trimEnd();
      const variables = await read(name.replace(".graphql", ".json"));
      return { query: await read(name), variables: variables === "{}" ? null : variables };
    }),
  );
}

/** Runs esbuild. Returns its files, the names of the entries, and the input files. */
async function bundle() {
  const entryPoints = Object.entries(ENTRIES).map(([name, path]) => ({ in: path, out: name }));
  const PREPARED_TABS = JSON.stringify(await preparedTabs());
  const define = { ...options.define, PREPARED_TABS };
  const { metafile, outputFiles } = await esbuild.build({ ...options, entryPoints, define });
  const names = {};
  for (const [path, { entryPoint, cssBundle }] of Object.entries(metafile.outputs)) {
    const entry = Object.keys(ENTRIES).find((name) => ENTRIES[name] === entryPoint);
    if (entry) names[`${entry}.js`] = basename(path);
    if (PAGES.includes(entry)) names[`${entry}.css`] = basename(cssBundle);
  }
  const [page, ...workers] = Object.keys(ENTRIES)
    .filter((name) => name !== "docs")
    .map((name) => loadedBy(name, metafile.outputs));
  names.parts = page.slice(1).sort();
  names.workers = [...new Set(workers.flat())].filter((name) => !page.includes(name)).sort();
  const files = outputFiles.map((file) => [basename(file.path), Buffer.from(file.contents)]);
  // A page's stylesheet is complete; the ones that esbuild writes for the parts are not used.
  const styles = PAGES.map((page) => names[`${page}.css`]);
  const needed = files.filter(([name]) => !name.endsWith(".css") || styles.includes(name));
  return { files: needed, names, inputs: Object.keys(metafile.inputs) };
}

/**
 * All files that an entry loads, directly or not. The page preloads them: this is faster, and a
 * restart of the server can't interrupt it. Only prettier is loaded on demand.
 */
function loadedBy(entry, outputs) {
  const path = Object.keys(outputs).find((name) => outputs[name].entryPoint === ENTRIES[entry]);
  const loaded = new Set([path]);
  for (const name of loaded) {
    for (const { path: part } of outputs[name].imports) {
      const prettier = Object.keys(outputs[part]?.inputs ?? {}).some((name) => /prettier/.test(name));
      if (part.endsWith(".js") && !prettier) loaded.add(part);
    }
  }
  return [...loaded].map((name) => basename(name));
}

async function allFiles() {
  const { files, names, inputs } = await bundle();
  const icon = await readFile(join(HERE, "icon.svg"));
  names["icon.svg"] = `icon-${sha256(icon).slice(0, 8).toUpperCase()}.svg`;
  return new Map([
    ["docs.html", await page("docs.html", names)],
    ["graphiql.html", await page("graphiql.html", names)],
    ["licences.txt", Buffer.from(await notices(inputs))],
    [names["icon.svg"], icon],
    ...files,
  ]);
}

/** Fills the file names into the `{...}` of a template. */
async function page(file, names) {
  const template = await readFile(join(HERE, file), "utf8");
  const html = template
    .replace(/^.*\{(parts|workers)\}.*\n/gm, (line, which) =>
      names[which].map((name) => line.replace(`{${which}}`, name)).join(""),
    )
    .replace(/\{(.+?)\}/g, (_, name) => names[name]);
  return Buffer.from(html);
}

function sha256(contents) {
  return createHash("sha256").update(contents).digest("hex");
}

const [folder] = process.argv.slice(2);
if (!folder) throw new Error("The target folder is missing: node build.mjs <folder>");
const files = await allFiles();
await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
const manifest = {};
let total = 0;
for (const name of [...files.keys()].sort()) {
  const contents = files.get(name);
  const compressed = gzipSync(contents, { level: 9 }); // node writes no timestamp into the header
  manifest[name] = { sha256: sha256(contents), bytes: contents.length };
  total += compressed.length;
  await writeFile(join(folder, `${name}.gz`), compressed);
}
await writeFile(join(folder, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
console.log(`${files.size} files, ${Math.round(total / 1024)} KiB compressed`);
