// What becomes of a handover when the certificates are not the announced ones: both halves of it on loopback.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { PosternError } from '../../../src/errors.ts'
import { type Identity, loadIdentity } from '../../../src/peer/identity/identity.ts'
import { handOver } from '../../../src/peer/punch/handover.ts'
import { RawSocket } from '../../../src/peer/punch/raw.ts'
import { openNative } from '../../../src/peer/transport/native.ts'
import type { Transport } from '../../../src/peer/transport/transport.ts'
import { endNative } from '../../end-native.ts'
import { handovers } from '../far.ts'

let folder = ''
const named: Record<string, Identity> = {}

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-handover-'))
  for (const name of ['ann', 'bob', 'eve']) named[name] = await loadIdentity(join(folder, name))
})

test.after.always(async () => {
  endNative()
  await rm(folder, { recursive: true })
})

test.serial('with the announced certificates the channel opens on both sides', async t => {
  for (const { code, steps } of await meet({ active: 'bob', passive: 'ann' })) {
    t.is(code, 'open')
    t.deepEqual(steps.toSorted(), ['bound', 'dtls', 'ice', 'open'])
  }
})

test.serial('a side whose partner has another certificate than the announced one says so at once', async t => {
  for (const [announced, seen, codes] of [
    [{ active: 'eve', passive: 'ann' }, 'bob', ['fingerprint-mismatch', 'io']],
    [{ active: 'bob', passive: 'eve' }, 'ann', ['io', 'fingerprint-mismatch']]
  ] as const) {
    const sides = await meet(announced)
    t.deepEqual(
      sides.map(({ code }) => code),
      codes
    )
    const { message } = sides.find(({ code }) => code === 'fingerprint-mismatch') ?? {}
    t.true(message?.includes(identityOf(seen).fingerprint), message)
    t.true(sides.every(({ steps }) => !steps.includes('dtls')))
  }
})

/** What becomes of each side. Ann is active and Bob passive; `announced` is whom each of them expects. */
async function meet(announced: { active: string; passive: string }) {
  const [near, far] = await RawSocket.bindMany(2)
  if (!near || !far) throw new Error('two sockets were asked for')
  const halves = [
    { raw: near, to: far.port, name: 'ann', role: 'active' as const },
    { raw: far, to: near.port, name: 'bob', role: 'passive' as const }
  ]
  const open: Transport[] = []
  const sides = await Promise.all(
    halves.map(async ({ raw, to, name, role }) => {
      const steps: string[] = []
      const handover = { ...handovers[role], fingerprint: identityOf(announced[role]).fingerprint }
      const remote = { address: '127.0.0.1', port: to }
      const options = {
        handover,
        mtu: 1280,
        remote,
        identity: identityOf(name),
        step: (name: string) => steps.push(name)
      }
      try {
        const { transport } = await handOver(raw, openNative, { ...options, signal: AbortSignal.timeout(10_000) })
        open.push(transport)
        return { code: 'open', message: '', steps }
      } catch (thrown) {
        const { code, message } = thrown as PosternError
        return { code, message, steps }
      }
    })
  )
  for (const transport of open) transport.close()
  return sides
}

function identityOf(name: string): Identity {
  const identity = named[name]
  if (!identity) throw new Error(`${name} is nobody`)
  return identity
}
