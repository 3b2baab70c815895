// The moment in which a port changes hands: nothing is on its way to it, and if something was, that is told.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import test from 'ava'
import { handOver } from '../../../src/peer/punch/handover.ts'
import { RawSocket } from '../../../src/peer/punch/raw.ts'
import type { Opener, OpenTransport } from '../../../src/peer/transport/transport.ts'
import { labTest } from '../../lab/lab-test.ts'
import type { NatType } from '../../lab/nat.ts'
import { openRig } from '../../lab/rig.ts'
import { handovers } from '../far.ts'

/** Hands a socket over to a transport made by hand. `steps` tells what was told of it. */
function handing(raw: RawSocket, open: Opener, checkMs?: number) {
  const steps: string[] = []
  const done = handOver(raw, open, {
    handover: handovers.passive,
    mtu: 1280,
    remote: { address: '127.0.0.1', port: 9 },
    identity: { certificatePem: '', keyPem: '' },
    step: name => void steps.push(name),
    checkMs,
    signal: AbortSignal.timeout(10_000)
  })
  return { steps, done }
}

const opened = { transport: {}, control: {}, remote: { address: '127.0.0.1', port: 9 } } as unknown as OpenTransport
const binds = async (port: number): Promise<boolean> => {
  const socket = createSocket('udp4')
  socket.bind(port, '0.0.0.0')
  const bound = await once(socket, 'listening').then(
    () => true,
    () => false
  )
  if (bound) socket.close()
  return bound
}

test.serial('the port is held until the transport asks for it, and is free in the same turn', async t => {
  const { steps, done } = handing(await RawSocket.bind(), async ({ port, free }) => {
    t.false(await binds(port))
    free()
    t.true(await binds(port))
    return opened
  })
  await done
  t.deepEqual(steps, ['bound'])
})

test.serial('a transport that failed before it asked leaves no port behind', async t => {
  const raw = await RawSocket.bind()
  const { done } = handing(raw, () => Promise.reject(new Error('no certificate')))
  await t.throwsAsync(done, { message: 'no certificate' })
  t.true(await binds(raw.port))
})

const never: Opener = async ({ free, signal }) => {
  free()
  await once(signal, 'abort')
  throw signal.reason
}

test.serial('on a path that was heard, a check that nobody answers ends the handover', async t => {
  const { steps, done } = handing(await RawSocket.bind(), never, 50)
  await t.throwsAsync(done, { code: 'timeout', message: /heard, and no ICE check on it was answered within 50 ms/ })
  t.is(steps[0], 'bound')
})

test.serial('once a check is answered, the rest may take its time', async t => {
  const another = await RawSocket.bind()
  const answered: Opener = async ({ free, step, signal }) => {
    free()
    step('ice')
    // The patience of this other handover begins later, and is longer.
    await t.throwsAsync(handing(another, never, 80).done)
    t.false(signal.aborted)
    return opened
  }
  await t.notThrowsAsync(handing(await RawSocket.bind(), answered, 20).done)
})

for (const [what, answers, told] of [
  ['told, where nothing came of it', false, ['bound', 'refused']],
  ['no matter, where ICE connected', true, ['bound', 'ice']]
] as const)
  test.serial(`a datagram that was refused while the port was closed is ${what}`, async t => {
    const raw = await RawSocket.bind()
    const sender = createSocket('udp4')
    sender.on('error', () => {})
    sender.connect(raw.port, '127.0.0.1')
    await once(sender, 'connect')
    const { steps, done } = handing(raw, async ({ free, step }) => {
      free()
      // A connected socket sends at once, and on loopback that has arrived then.
      sender.send('late')
      if (answers) step('ice')
      throw new Error('no path')
    })
    await t.throwsAsync(done, { message: 'no path' })
    t.deepEqual(steps, [...told])
    sender.close()
  })

const nats: NatType[] = ['fragile', 'port-restricted', 'open', 'symmetric+1', 'fragile']

labTest('nothing is refused while a port changes hands, so NATs that end flows for it are no matter', async t => {
  await using rig = await openRig({
    sites: nats.map(nat => ({ nat })),
    strategies: '[direct, stun, predict, spray, relay]',
    verify: false
  })
  const [fragile, ...others] = rig.peers
  if (!fragile) return t.fail()
  for (let round = 0; round < 2; round++)
    for (const other of others)
      for (const [from, to] of [[fragile, other] as const, [other, fragile] as const]) {
        const { path, failed } = await from.connect(to, 0)
        t.is(path?.kind, 'direct', `${from.site.nat} to ${to.site.nat}: ${failed?.reason ?? ''}`)
      }
  for (const site of rig.world.sites) t.is(await site.refused(), 0, `${site.nat} ${site.index}`)
})
