// A plugin for prettier that formats JSON with comments. It stands in for prettier's own, which
// brings two parsers of JavaScript along.
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
