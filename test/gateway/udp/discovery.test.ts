// Discovery as a STUN client meets it: on real sockets, and through the kernel's NATs.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { stringify } from 'yaml'
import { parseConfig } from '../../../src/config/config.ts'
import { openGateway } from '../../../src/gateway/gateway.ts'
import { listen } from '../../../src/gateway/udp/listen.ts'
import { decode, type StunMessage } from '../../../src/wire/stun.ts'
import { Driven } from '../../lab/driven.ts'
import type { Drives } from '../../lab/driver.ts'
import { labTest } from '../../lab/lab-test.ts'
import type { Finding } from '../../lab/programs/discover.ts'
import { type Host, openWorld } from '../../lab/world.ts'
import { question } from './fake-ports.ts'

const addresses = ['127.0.0.1', '127.0.0.2']

/** A gateway on two addresses of loopback, with two ports that both of them have free. */
async function loopback(t: ExecutionContext, more: object = {}) {
  const free = await listen({ addresses: ['127.0.0.1'], ports: [0, 0] })
  const ports = free.ports.map(({ local }) => local.port)
  await free.close()
  const text = stringify({ listen: { http: '127.0.0.1:0', udp: { addresses, ports } }, ...more })
  const folder = await mkdtemp(join(tmpdir(), 'postern-'))
  const gateway = await openGateway(parseConfig(text, join(folder, 'postern.yaml'), {}))
  const client = createSocket('udp4').bind(0, '127.0.0.1')
  await once(client, 'listening')
  t.teardown(async () => {
    client.close()
    await gateway.close()
    await rm(folder, { recursive: true })
  })
  return { gateway, client, ports }
}

async function ask(client: Socket, port: number | undefined, asked: Partial<StunMessage>) {
  const answered = once(client, 'message') as Promise<[Buffer, { address: string; port: number }]>
  client.send(question(asked), port ?? 0, '127.0.0.1')
  const [datagram, { address, port: from }] = await answered
  return { answer: decode(datagram), from: { address, port: from } }
}

test('the answer to CHANGE-REQUEST leaves from the socket that it names, and is counted', async t => {
  const { gateway, client, ports } = await loopback(t)
  for (const change of [true, false].flatMap(address => [true, false].map(port => ({ address, port })))) {
    const { answer, from } = await ask(client, ports[0], { change })
    t.deepEqual(from, { address: addresses[Number(change.address)], port: ports[Number(change.port)] } as typeof from)
    t.deepEqual(answer?.origin, from)
    t.deepEqual(answer?.other, { address: '127.0.0.2', port: ports[1] } as typeof from)
  }
  t.like((await gateway.status()).udp, { discovery: 4, plain: 0, unhonoured: 0 })
})

test('stun: { discovery: false } leaves the mapping alone', async t => {
  const { client, ports } = await loopback(t, { stun: { discovery: false } })
  const plain = await ask(client, ports[0], {})
  t.deepEqual(plain.answer?.mapped, { address: '127.0.0.1', port: client.address().port })
  t.is(plain.answer?.other, undefined)
  const refused = await ask(client, ports[0], { change: { address: true, port: true } })
  t.is(refused.answer?.error?.code, 420)
})

labTest('a client behind a NAT finds out what it does, by RFC 5780 and by RFC 3489', async t => {
  const nats = {
    'full-cone': { stable: true, admits: { address: true, port: true } },
    restricted: { stable: true, admits: { address: false, port: true } },
    'port-restricted-moved': { stable: true, admits: { address: false, port: false } },
    'symmetric+1': { stable: false, admits: { address: false, port: false } }
  } as const
  const names = Object.keys(nats) as (keyof typeof nats)[]
  await using world = await openWorld({ sites: names.map(nat => ({ nat })), verify: false })
  await using gateway = new Driven<Drives>(world.gateway, new URL('../../lab/driver.ts', import.meta.url))
  const udp = { addresses: world.gateway.addresses, ports: [3478, 3479] }
  await gateway.do('gateway', { config: stringify({ listen: { http: '0.0.0.0:8080', udp } }) })
  for (const site of world.sites) {
    const { stable, admits } = nats[site.nat as keyof typeof nats]
    for (const finding of await discover(site.hosts[0] as Host, world.gateway)) {
      const ports = new Set(finding.mapped.map(mapped => mapped?.port))
      t.deepEqual(
        finding.mapped.map(mapped => mapped?.address),
        [1, 2, 3].map(() => site.publicAddresses[0]),
        site.nat
      )
      t.is(ports.size, stable ? 1 : 3, site.nat)
      t.deepEqual(finding.admits, admits, site.nat)
      t.true(finding.honest, site.nat)
    }
  }
})

async function discover(host: Host, gateway: Host): Promise<Finding[]> {
  const program = fileURLToPath(new URL('../../lab/programs/discover.ts', import.meta.url))
  const { stdout, stderr } = await host.run([process.execPath, program, gateway.addresses[0] ?? '', '3478'])
  if (!stdout) throw new Error(stderr)
  return JSON.parse(stdout)
}
