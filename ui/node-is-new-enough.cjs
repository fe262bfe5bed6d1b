// Ends with 0 when this Node.js can build the page. As CommonJS, so that old versions can say that they cannot.
const [major, minor] = process.versions.node.split(".").map(Number);
process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);
