// Reads a message in base64 as a JSON text a line; writes the files that every parser shows: {parser: [[name, type], ...]}.
const { simpleParser } = require("mailparser");
const postal = require("postal-mime");
const PostalMime = postal.default || postal;

const named = (files, name, type) => files.map((file) => [file[name] || "", file[type] || ""]);
const parsers = {
    mailparser: async (octets) => named((await simpleParser(octets)).attachments, "filename", "contentType"),
    "postal-mime": async (octets) => named((await PostalMime.parse(octets)).attachments, "filename", "mimeType"),
};

async function read(parse, octets) {
    try {
        return await parse(octets);
    } catch {
        return []; // a program with this parser shows nothing
    }
}

let before = Promise.resolve();
require("readline")
    .createInterface({ input: process.stdin })
    .on("line", (line) => {
        before = before.then(async () => {
            const octets = Buffer.from(JSON.parse(line), "base64");
            const found = {};
            for (const [name, parse] of Object.entries(parsers)) found[name] = await read(parse, octets);
            process.stdout.write(JSON.stringify(found) + "\n");
        });
    });
