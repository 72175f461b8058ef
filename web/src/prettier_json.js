// A prettier plugin that formats JSON with comments. It replaces prettier's own, which includes two
// JavaScript parsers.
import { applyEdits, format } from "jsonc-parser";

const OPTIONS = { insertSpaces: true, tabSize: 2, eol: "\n" };

export const parsers = {
  jsonc: {
    astFormat: "jsonc-text",
    parse: (text) => ({ text }),
    locStart: () => 0,
    locEnd: (node) => node.text.length,
  },
};

export const printers = {
  "jsonc-text": {
    print: ({ node }) => applyEdits(node.text, format(node.text, undefined, OPTIONS)),
  },
};
