// Debian's coturn on a host of the laboratory, as the STUN and TURN server of peers that speak plain ICE.

import { once } from 'node:events'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { findTool } from '../sandbox.ts'
import type { Host } from '../world.ts'
import type { IceServer } from './driver.ts'

const PROGRAM = 'turnserver'
const PORT = 3500
const USER = 'laboratory'

/** Why there is none; undefined if there is. */
export const missingCoturn = (): string | undefined =>
  findTool(PROGRAM) ? undefined : `${PROGRAM} is missing (Debian's coturn)`

/** It relays by ports of its own, without a limit; it listens when this resolves. Throws where it ends at once. */
export async function startCoturn(host: Host): Promise<IceServer & AsyncDisposable> {
  const address = host.addresses[0] ?? ''
  const folder = await mkdtempDisposable(join(tmpdir(), 'postern-coturn-'))
  const words = [
    ...['-n', '--listening-ip', address, '--listening-port', String(PORT), '--relay-ip', address],
    ...['--lt-cred-mech', '--realm', 'laboratory', '--user', `${USER}:${USER}`],
    ...['--no-tls', '--no-dtls', '--no-cli', '--log-file', 'stdout', '--simple-log'],
    ...['--userdb', join(folder.path, 'users.db'), '--pidfile', join(folder.path, 'pid')]
  ]
  const child = host.spawn([findTool(PROGRAM) ?? PROGRAM, ...words], { stdio: ['ignore', 'pipe', 'ignore'] })
  const exited = once(child, 'exit')
  await listens(child.stdout)
  child.stdout?.resume()
  return {
    ...{ address, port: PORT, user: USER, password: USER },
    async [Symbol.asyncDispose]() {
      child.kill()
      await exited
      await folder.remove()
    }
  }
}

/** It says so on its standard output, which ends when it does. */
async function listens(output: NodeJS.ReadableStream | null): Promise<void> {
  if (output)
    for await (const line of createInterface({ input: output })) if (line.includes('Total General servers')) return
  throw new Error(`${PROGRAM} ended before it listened`)
}
