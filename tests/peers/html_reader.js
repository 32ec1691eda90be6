// Reads one JSON text a line as HTML, as browsers do; writes {texts: [...], leads: [[tag, attribute, value], ...]}.
const { parse } = require("parse5");

function walk(node, found) {
    if (node.nodeName === "#text" && !["style", "script"].includes(node.parentNode.nodeName)) found.texts.push(node.value);
    for (const { prefix, name, value } of node.attrs || []) {
        found.leads.push([node.nodeName, prefix ? `${prefix}:${name}` : name, value]);
    }
    for (const child of [...(node.childNodes || []), ...(node.content ? [node.content] : [])]) walk(child, found);
    return found;
}

require("readline")
    .createInterface({ input: process.stdin })
    .on("line", (line) => {
        const document = parse(JSON.parse(line), { scriptingEnabled: false });
        process.stdout.write(JSON.stringify(walk(document, { texts: [], leads: [] })) + "\n");
    });
