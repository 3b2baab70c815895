// The three protocols together, and the router that is asked.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import test from 'ava'
import { gatewayIn } from '../../../src/peer/router/default-gateway.ts'
import { findRouter, mapPort, routerAt } from '../../../src/peer/router/router.ts'
import { HandMadeRouter, natPmpAnswer, pcpAnswer, unsupported } from './hand-made-router.ts'
import { refused } from './made.ts'

const signal = new AbortController().signal

test('without a router there is nobody to ask', async t => {
  t.deepEqual(await mapPort({ localPort: 5000, router: undefined, signal }), {
    reason: 'no-router',
    text: 'no default gateway was found, so there is no router to ask'
  })
})

test('a router that answers nothing is told as that, after all three were tried', async t => {
  await using router = await HandMadeRouter.open()
  t.deepEqual(await refused(router, {}), {
    reason: 'silent',
    text: 'the router at 127.0.0.1 answers neither PCP nor NAT-PMP nor UPnP',
    routerAddress: '127.0.0.1'
  })
  t.true(router.transmissions >= 6)
  t.is(router.searched.length, 3)
  t.deepEqual(router.requests, [])
})

test('where nobody listens, nobody is waited for', async t => {
  const port = await freePort()
  const sinceMs = performance.now()
  const router = routerAt('127.0.0.1', { mapping: port, search: port })
  const outcome = await mapPort({ localPort: 5000, router, protocols: ['pcp', 'nat-pmp'], signal })
  t.is('reason' in outcome && outcome.reason, 'silent')
  t.true(performance.now() - sinceMs < 2000)
})

test('a carrier above ends it, since no protocol can help', async t => {
  await using router = await HandMadeRouter.open({
    mapping: asked => [natPmpAnswer(asked, { address: '10.0.0.7' }) ?? unsupported]
  })
  t.like(await refused(router, {}), { reason: 'carrier', outsideAddress: '10.0.0.7' })
  t.deepEqual(router.searched, [])
})

test('of several refusals the one that says most is told', async t => {
  await using router = await HandMadeRouter.open({
    mapping: asked => (asked.length === 60 ? [pcpAnswer(asked, { result: 2, address: '0.0.0.0' })] : [])
  })
  t.is((await refused(router, {})).reason, 'refused')
  t.is(router.searched.length, 3, 'UPnP was tried as well')
})

test('whoever calls it off while the router is silent does not wait', async t => {
  for (const protocol of ['pcp', 'nat-pmp', 'upnp'] as const) {
    await using router = await HandMadeRouter.open()
    const over = new AbortController()
    const sinceMs = performance.now()
    const asking = mapPort({ localPort: 5000, router: router.router, protocols: [protocol], signal: over.signal })
    over.abort(new Error('enough'))
    await t.throwsAsync(asking, { message: 'enough' })
    t.true(performance.now() - sinceMs < 1500)
  }
})

test('the default gateway is read from the table of Linux: the default route with the smallest metric', t => {
  const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT'
  const line = (destination: string, gateway: string, flags: string, metric: number, mask = '00000000') =>
    `eth0\t${destination}\t${gateway}\t${flags}\t0\t0\t${metric}\t${mask}\t0\t0\t0`
  const table = (...lines: string[]) => gatewayIn([head, ...lines, ''].join('\n'))
  t.is(table(line('00000000', '0101A8C0', '0003', 100)), '192.168.1.1')
  t.is(table(line('00000000', '0101A8C0', '0003', 600), line('00000000', '0100000A', '0003', 100)), '10.0.0.1')
  t.is(table(line('0001A8C0', '00000000', '0001', 0, '00FFFFFF')), undefined)
  t.is(table(line('00000000', '0101A8C0', '0002', 100)), undefined, 'the route is down')
  t.is(table(line('00000000', '00000000', '0001', 0)), undefined, 'a link without a router')
  t.is(table(line('00000000', '0101A8C0', '0003', 100, '00000080')), undefined, 'half of all addresses')
  t.is(table(line('00000000', 'XYZ', '0003', 100)), undefined)
  t.is(gatewayIn(''), undefined)
})

test('the router of this host is asked at the ports of PCP and SSDP', async t => {
  const router = await findRouter()
  if (router) t.deepEqual(router.ports, { mapping: 5351, search: 1900 })
  else t.pass('this host has no default gateway')
})

async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}
