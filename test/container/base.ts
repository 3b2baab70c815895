// The image that the Dockerfile begins with. Where no registry is to be reached, one of the same name is made as that one is: Debian
// without documents and caches (what debian:bookworm-slim leaves out), Node 24 with npm in /usr/local, and the user 1000. Its packages
// are unpacked and not configured, which would take most of the time, and changes next to nothing that Node needs.

import { cp, mkdir, readdir, realpath, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Engine, hasDocker, run } from './engine.ts'

export const baseName = 'docker.io/library/node:24-bookworm-slim'

/** What debian:bookworm-slim leaves out, and caches. */
const left = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/info',
  'usr/share/lintian',
  'var/lib/apt/lists',
  'var/cache/apt',
  'var/log'
]

/** Provides it; says where it came from. */
export async function provideBase(engine: Engine): Promise<string> {
  if (hasDocker()) return 'of the registry, by Docker'
  if (await engine.pull(baseName)) return 'of the registry'
  const tree = join(engine.folder, 'base')
  await run(['debootstrap', '--variant=minbase', '--foreign', 'bookworm', tree])
  await rm(join(tree, 'debootstrap'), { recursive: true })
  // Unpacked alone, /proc is a link to itself.
  for (const folder of ['proc', 'dev', ...left]) await empty(join(tree, folder))
  await addNode(tree)
  const container = (await engine.buildah('from', 'scratch')).trim()
  await engine.buildah('copy', '--quiet', container, tree, '/')
  await engine.buildah('config', '--cmd', 'node', '--env', `PATH=${path}`, container)
  await engine.buildah('commit', '--quiet', '--rm', '--format', 'docker', container, baseName)
  await rm(tree, { recursive: true, force: true })
  return `made of Debian bookworm (minbase) and Node ${process.versions.node}, as no registry answers`
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

async function empty(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
}

/** This very Node, and the npm of this computer. */
async function addNode(tree: string): Promise<void> {
  const local = join(tree, 'usr/local')
  await cp(await realpath(process.execPath), join(local, 'bin/node'))
  const npm = await npmFolder()
  await cp(npm, join(local, 'lib/node_modules/npm'), { recursive: true, verbatimSymlinks: true })
  for (const name of ['npm', 'npx'])
    await run(['ln', '--symbolic', `../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name)])
  await writeFile(join(tree, 'etc/passwd'), `root:x:0:0:root:/root:/bin/bash\nnode:x:1000:1000::/home/node:/bin/bash\n`)
  await writeFile(join(tree, 'etc/group'), `root:x:0:\nnode:x:1000:\n`)
}

/** Where the npm lies that runs this. */
async function npmFolder(): Promise<string> {
  const entry = process.env.npm_execpath ?? (await npmOfPath())
  return dirname(dirname(await realpath(entry)))
}

async function npmOfPath(): Promise<string> {
  for (const folder of ['/usr/local/bin', '/usr/bin'])
    if ((await readdir(folder)).includes('npm')) return realpath(join(folder, 'npm'))
  throw new Error('npm is not in /usr/local/bin or /usr/bin')
}
