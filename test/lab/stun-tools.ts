// STUN clients that others wrote, each by the ordinary client of its registry, into a folder of their own that is kept for the next
// time: two packages of Debian are unpacked there, not installed, so that no service starts; PyPI and Go have a version each here.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { findTool } from './sandbox.ts'

const folder = join(tmpdir(), 'postern-stun-clients')

export interface StunTool {
  /** What it is and which version, for people. */
  readonly version: string
  /** The beginning of its command line. */
  readonly argv: readonly string[]
}

/** A program of a Debian package: the one that is installed, or one that is unpacked here. Throws what stands in the way. */
export async function fromDebian(packageName: string, program: string): Promise<StunTool> {
  const installed = findTool(program)
  if (installed) return { version: `${packageName}, as installed`, argv: [installed] }
  const root = join(folder, packageName)
  if (!existsSync(join(root, 'usr/bin', program))) await unpack(packageName, root)
  const [file = ''] = readdirSync(root).filter(name => name.startsWith(`${packageName}_`))
  const libraries = readdirSync(join(root, 'usr/lib'), { withFileTypes: true }).filter(entry => entry.isDirectory())
  const path = libraries.map(({ name }) => join(root, 'usr/lib', name)).join(':')
  const version = decodeURIComponent(file.split('_')[1] ?? '')
  return {
    version: `${packageName} ${version}`,
    argv: ['/usr/bin/env', `LD_LIBRARY_PATH=${path}`, join(root, 'usr/bin', program)]
  }
}

/** With libevent, which is all that a server's clients need beyond what every system has. */
async function unpack(packageName: string, root: string): Promise<void> {
  await mkdir(join(root, 'usr/lib'), { recursive: true })
  const depends = await run('apt-cache', ['depends', packageName])
  const libraries = [...depends.matchAll(/Depends: (libevent-\S+)/g)].map(([, name = '']) => name)
  await run('apt-get', ['download', packageName, ...libraries], { cwd: root })
  for (const file of readdirSync(root).filter(name => name.endsWith('.deb')))
    await run('dpkg', ['-x', join(root, file), root])
}

/** The Python of a virtual environment with these packages in it. */
export async function fromPyPI(requirement: string): Promise<{ version: string; bin: string }> {
  const root = join(folder, requirement)
  const bin = join(root, 'bin')
  if (!existsSync(join(root, 'done'))) {
    await mkdir(folder, { recursive: true })
    await run('python3', ['-m', 'venv', root])
    await run(join(bin, 'pip'), ['install', '--quiet', requirement])
    await mkdir(join(root, 'done'))
  }
  return { version: requirement.replace('==', ' '), bin }
}

/** A Go program; `module` ends with its version. */
export async function fromGo(module: string, program: string): Promise<StunTool> {
  const bin = join(folder, 'go')
  if (!existsSync(join(bin, program))) await run('go', ['install', module], { env: { ...process.env, GOBIN: bin } })
  return { version: `${program} ${module.split('@')[1]}`, argv: [join(bin, program)] }
}

async function run(
  command: string,
  argv: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}
): Promise<string> {
  const child = spawn(command, argv, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, ended] = [text(child.stdout), text(child.stderr), once(child, 'exit')]
  const code = await ended.then(
    ([status]) => status as number | null,
    error => (error as Error).message
  )
  if (code !== 0)
    throw new Error(`${command} ${argv.join(' ')} failed: ${(await err).trim().split('\n').at(-1) || code}`)
  return await out
}
