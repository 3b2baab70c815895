// What a foreign NAT finds when it is opened: a world of the laboratory with a public host to run on, its commands, and a
// folder for its files. It makes namespaces that are behind it, and says what stands where.

import { once } from 'node:events'
import { until } from '../../until.ts'
import { tool } from '../sandbox.ts'
import type { Host, World } from '../world.ts'
import type { Obtained } from './part.ts'

export interface Ground {
  readonly world: World
  /** The public host of the first site, with no NAT in front of it: what it runs on. */
  readonly host: Host
  /** For its sockets and configuration. It is gone when the world is. */
  readonly folder: string
  /** How a command is started that was obtained for it. */
  command(name: string): readonly string[]
}

/** Who is behind it, in the place of whom. */
export interface Placed {
  /** Instead of the first site's hosts. */
  readonly guests?: readonly Host[]
  /** Instead of the world's gateway: reached at the same addresses, which are not its own. */
  readonly gateway?: Host
}

/** How long a program takes to be ready at most, in milliseconds. */
const PATIENCE_MS = 10_000

/**
 * Starts a program that runs as long as its world, and waits until it is ready, by what it has said or by what it has done.
 * Throws what it complained of where it ends instead.
 */
export async function start(
  host: Host,
  argv: readonly string[],
  ready: (said: string) => boolean | Promise<boolean>
): Promise<void> {
  const child = host.spawn(argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const output of [child.stdout, child.stderr])
    output?.on('data', chunk => {
      said = `${said}${chunk}`.slice(-2000)
    })
  const lastWords = () => said.trim().split('\n').at(-1) || 'it said nothing'
  const ended = once(child, 'exit').then(() => {
    throw new Error(`it ended: ${lastWords()}`)
  })
  ended.catch(() => {}) // with its world
  const late = () => {
    throw new Error(`it was not ready within ${PATIENCE_MS} ms: ${lastWords()}`)
  }
  await Promise.race([until(() => ready(said), PATIENCE_MS).catch(late), ended])
}

/** Throws what went wrong, in one line. */
export async function shell(host: Host, ...lines: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await host.run(
    ['/bin/sh', '-e'],
    `PATH=/usr/sbin:/sbin:$PATH\n${lines.join('\n')}\n`
  )
  if (code !== 0) throw new Error(`on ${host.name}: ${stderr.trim().split('\n')[0]}`)
  return stdout
}

/** Whether a host has a way out. */
export const routed = async (host: Host): Promise<boolean> =>
  (await host.run([tool('ip'), 'route', 'show', 'default'])).stdout !== ''

/** Of the parts that were obtained. Throws where none has it. */
export function commandOf(parts: readonly Obtained[], name: string): readonly string[] {
  const found = parts.map(part => part.command(name)).find(argv => argv !== undefined)
  if (!found) throw new Error(`none of its parts has a command ${name}`)
  return found
}
