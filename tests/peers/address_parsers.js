// Reads one JSON text a line; writes for each what every parser finds in it: {parser: [[name, address], ...]}.
const parsers = {
    nodemailer: flat(require("nodemailer/lib/addressparser")),
    "nodemailer 6": flat(require("nodemailer-6/lib/addressparser")),
    addressparser: flat(require("addressparser")),
    "email-addresses": strict(require("email-addresses")),
};

function flat(parse) {
    const boxes = (found) =>
        found.flatMap((each) => (each.group ? [[each.name || "", ""], ...boxes(each.group)] : [[each.name || "", each.address || ""]]));
    return (text) => boxes(parse(text));
}

function strict(parse) {
    const boxes = (found) =>
        found.flatMap((each) => (each.addresses ? boxes(each.addresses) : [[each.name || "", each.address || ""]]));
    return (text) => boxes((parse({ input: text, rfc6532: true, partial: true }) || { addresses: [] }).addresses);
}

function read(parse, text) {
    try {
        return parse(text);
    } catch {
        return []; // a program with this parser shows nothing
    }
}

require("readline")
    .createInterface({ input: process.stdin })
    .on("line", (line) => {
        const text = JSON.parse(line);
        const found = Object.entries(parsers).map(([name, parse]) => [name, read(parse, text)]);
        process.stdout.write(JSON.stringify(Object.fromEntries(found)) + "\n");
    });
