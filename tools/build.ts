// `npm run build`: makes dist, which is what the package ships. The compiler writes JavaScript and types, and one module for pages is
// made with the types of a browser, one script and style for each page that is a program, and the manual page. Whatever else lies in src is read at run
// time (styles, a script, an icon), and is copied as it is. In a clone everything runs without dist, but for what browsers load of it.

import { spawnSync } from 'node:child_process'
import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { programOf } from '../src/cli/program.ts'
import { isMade, writeBundles } from './bundle.ts'
import { manualOf } from './manual.ts'

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
  await writeFile(join(dist, 'postern.1'), manualOf(await programOf(), day()))
} else process.exitCode = 1

/** The day of the build; that of SOURCE_DATE_EPOCH, in seconds, where a build is to be the same as another. */
function day(): string {
  const seconds = process.env.SOURCE_DATE_EPOCH
  return new Date(seconds ? Number(seconds) * 1000 : Date.now()).toISOString().slice(0, 10)
}
