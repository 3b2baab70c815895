// What foreign NATs are made of: packages of Debian and Go modules, each in one exact version, in a cache folder of one's
// own. Nothing is installed on this computer: Debian's packages are unpacked, modules are built, and both run from there.
//
//   ~/.cache/postern-lab/NAME/   usr/bin/… of a package, or the commands of a module
//   ~/.cache/postern-lab/apt/    the lists of packages, so that none of the system's are needed or changed

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { findTool } from '../sandbox.ts'

export type Part =
  /** The packages whose behaviour counts, as `name=version`; what else they need comes along where the system lacks it. */
  | { readonly kind: 'debian'; readonly packages: readonly string[] }
  /** Commands of a module, as paths of packages below it: `.` is the module itself. */
  | {
      readonly kind: 'go'
      readonly module: string
      readonly version: string
      readonly commands: readonly string[]
      readonly tags?: string
    }

/** Where a part lies, once it is there. */
export interface Obtained {
  /** How a command of it is started, if it has one of that name. */
  command(name: string): readonly string[] | undefined
}

/** Where parts lie once they are there. */
export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'postern-lab')

/** A module and all it takes is compiled within this time, in milliseconds: on two busy cores, the first time. */
const PATIENCE_MS = 1_800_000

/** Brings a part into the cache, unless it is there. Throws in one line what is in the way of it. */
export async function obtain(part: Part): Promise<Obtained> {
  const folder = join(cache, nameOf(part))
  if (!existsSync(folder)) await bring(part, folder)
  const libraries = globSync(join(folder, 'usr/lib/*-linux-gnu')).join(':')
  return {
    command(name) {
      const path = ['usr/bin', 'usr/sbin', '.'].map(place => join(folder, place, name)).find(existsSync)
      if (!path) return undefined
      return libraries ? ['/usr/bin/env', `LD_LIBRARY_PATH=${libraries}`, path] : [path]
    }
  }
}

const nameOf = (part: Part): string =>
  part.kind === 'go'
    ? `${part.module.replaceAll('/', '+')}@${part.version}`
    : (part.packages[0] ?? '').replace(/[=:]/g, '@')

/** Whole, or not at all: what was begun and not finished is never taken for a part. */
async function bring(part: Part, folder: string): Promise<void> {
  const begun = `${folder}.begun`
  await rm(begun, { recursive: true, force: true }) // of a run that was ended
  await mkdir(begun, { recursive: true })
  console.error(`  bringing ${basename(folder)} to ${cache}`)
  try {
    const made = part.kind === 'go' ? await built(part, begun) : await unpacked(part.packages, begun)
    await rename(made, folder)
  } finally {
    await rm(begun, { recursive: true, force: true })
  }
}

// In a module that requires it: `go install PATH@VERSION` also asks for the list of all versions, which a proxy may not have.
// Since go 1.17 a module need not bring along what is not compiled.
async function built({ module, version, commands, tags }: Extract<Part, { kind: 'go' }>, begun: string) {
  const into = join(begun, 'commands')
  await writeFile(join(begun, 'go.mod'), `module laboratory\n\ngo 1.21\n\nrequire ${module} ${version}\n`)
  const paths = commands.map(command => join(module, command))
  await run(begun, ['go', 'build', '-mod=mod', ...(tags ? ['-tags', tags] : []), '-o', `${into}/`, ...paths])
  return into
}

async function unpacked(packages: readonly string[], begun: string): Promise<string> {
  const into = join(begun, 'root')
  const lists = join(cache, 'apt')
  await Promise.all(
    [join(lists, 'partial'), join(begun, 'partial'), into].map(path => mkdir(path, { recursive: true }))
  )
  const options = [
    `Dir::State::Lists=${lists}`,
    `Dir::Cache::Archives=${begun}`,
    'Dir::Cache::pkgcache=',
    'Dir::Cache::srcpkgcache=',
    'Debug::NoLocking=1',
    'APT::Sandbox::User='
  ]
  const apt = ['apt-get', '-qq', '--yes', ...options.flatMap(option => ['-o', option])]
  await run(begun, [...apt, 'update'])
  await run(begun, [
    ...apt,
    'install',
    '--download-only',
    '--reinstall',
    '--no-install-recommends',
    '--allow-downgrades',
    ...packages
  ])
  for (const archive of globSync(join(begun, '*.deb'))) await run(begun, ['dpkg-deb', '--extract', archive, into])
  return into
}

/** Throws the first lines of its complaint. */
async function run(cwd: string, [name = '', ...argv]: readonly string[]): Promise<void> {
  const path = findTool(name)
  if (!path) throw new Error(`${name} is not installed`)
  const child = spawn(path, argv, { cwd, stdio: ['ignore', 'ignore', 'pipe'], timeout: PATIENCE_MS })
  const complaint = text(child.stderr)
  const [code, signal] = await once(child, 'exit')
  if (code === 0) return
  const lines = (await complaint).split('\n').filter(line => !/^(W:|go: (downloading|finding)|\s*$)/.test(line))
  const said = lines.slice(0, 3).map(line => line.trim())
  throw new Error(`${name}: ${said.join(' ') || `ended with ${signal ?? code}`}`)
}
