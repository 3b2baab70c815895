// `npm run build`: makes dist, which is what the package ships. The compiler writes JavaScript and types. Whatever else lies
// in src is read at run time (styles, a script, an icon), and is copied as it is. In a clone everything runs without dist.

import { spawnSync } from 'node:child_process'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

await rm(dist, { recursive: true, force: true })
const compiler = join(root, 'node_modules/typescript/bin/tsc')
const { status } = spawnSync(process.execPath, [compiler, '--project', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit'
})
if (status === 0) await cp(join(root, 'src'), dist, { recursive: true, filter: path => !path.endsWith('.ts') })
else process.exitCode = 1
