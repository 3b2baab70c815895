#!/usr/bin/env node
// The door to the command line: it finds the code and a Node that runs it, with no shell in between. In an installed package
// that is `dist` and the Node at hand. In a clone it is `src`, whose TypeScript takes Node 24: the Node at hand, or the one that
// `npm ci` brought along (see tools/node24). Older Nodes must be able to read this file, so it is plain JavaScript.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const needed = 24
const inPackage = path => new URL(`../${path}`, import.meta.url)
const isClone = existsSync(inPackage('src/main.ts'))
const main = inPackage(isClone ? 'src/main.ts' : 'dist/main.js')
const broughtAlong = inPackage('node_modules/.bin/node')

if (Number.parseInt(process.versions.node, 10) >= needed) await import(main.href)
else if (isClone && existsSync(broughtAlong)) runWith(fileURLToPath(broughtAlong))
else refuse()

/** Runs the command line in a process of its own, which gets our signals and whose end is ours. */
function runWith(node) {
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => child.kill(name))
  child.on('error', error => {
    process.stderr.write(`postern: ${node} cannot be run: ${error.message}\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    process.exitCode = signal ? 128 + constants.signals[signal] : code
    if (!signal) return
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

function refuse() {
  const download = 'https://nodejs.org/en/download has it'
  const remedy = isClone ? `; \`npm ci\` without --omit=dev brings one along on Linux, or ${download}` : `; ${download}`
  process.stderr.write(`postern: needs Node ${needed} or newer, and this is Node ${process.versions.node}${remedy}\n`)
  process.exitCode = 1
}
