// `node tools/with-node24.js FILE…` runs a file of TypeScript, or says in one sentence that this Node is too old for it. npm puts
// the Node that `npm ci` brought along first in the PATH of a script; where that is missing, it is the Node at hand. Older Nodes
// must be able to read this file, so it is plain JavaScript.

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const needed = 24

if (Number.parseInt(process.versions.node, 10) >= needed) {
  process.argv.splice(1, 1)
  await import(pathToFileURL(resolve(process.argv[1])).href)
} else {
  const remedy = '`npm ci` without --omit=dev brings one along on Linux'
  process.stderr.write(`postern: needs Node ${needed} or newer, and this is Node ${process.versions.node}; ${remedy}\n`)
  process.exitCode = 1
}
