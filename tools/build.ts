// `npm run build`: makes dist, which is what the package ships. The compiler writes JavaScript and types, and one module for pages is
// made with the types of a browser, and one script and style for each page that is a program. Whatever else lies in src is read at run
// time (styles, a script, an icon), and is copied as it is. In a clone everything runs without dist, but for what browsers load of it.

import { spawnSync } from 'node:child_process'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMade, writeBundles } from './bundle.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

await rm(dist, { recursive: true, force: true })
const compiler = join(root, 'node_modules/typescript/bin/tsc')
const compile = (...options: readonly string[]): boolean =>
  spawnSync(process.execPath, [compiler, ...options], { cwd: root, stdio: 'inherit' }).status === 0

const types = ['--noEmit', 'false', '--emitDeclarationOnly', '--outDir', 'dist']
if (compile('--project', 'tsconfig.build.json') && compile('--project', 'tsconfig.browser.json', ...types)) {
  await cp(join(root, 'src'), dist, { recursive: true, filter: path => !isMade.test(path) })
  await writeBundles(dist)
} else process.exitCode = 1
