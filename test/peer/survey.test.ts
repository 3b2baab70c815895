import { join } from 'node:path'
import test from 'ava'
import { parseConfig } from '../../src/config/config.ts'
import { openGateway } from '../../src/gateway/gateway.ts'
import { endNative } from '../end-native.ts'
import { until } from '../until.ts'
import { World } from '../world.ts'

test.after.always(endNative)

/** Of the gateway, one for each endpoint where its event loop has them, and the one that a peer keeps warm. */
const keptOpen = 4 + 1
const inOurLoop = { more: 'relay: { engine: dgram }' }
const udpSockets = () => process.getActiveResourcesInfo().filter(name => name === 'UDPWrap').length

test.serial('fresh sockets are shown one after the other, judged, and closed again', async t => {
  await using world = await World.open(inOurLoop)
  const ann = await world.join('ann')
  const seen: number[] = []
  const findings = await ann.nat({ sockets: 3, onSocket: number => seen.push(number) })
  if (findings.udp !== 'open') return t.fail(findings.reason)
  const { report, own } = findings
  t.deepEqual(seen, [1, 2, 3])
  t.like(report, {
    mapping: 'endpoint-independent',
    filtering: 'endpoint-independent',
    translated: false,
    certain: true
  })
  t.deepEqual(report.addresses, ['127.0.0.1'])
  t.true(own.some(({ address }) => address === '127.0.0.1'))
  const bySocket = Map.groupBy(report.samples, ({ socket }) => socket)
  t.is(bySocket.size, 3)
  for (const samples of bySocket.values()) t.is(new Set(samples.map(({ via }) => `${via.address} ${via.port}`)).size, 4)
  t.is(new Set(report.samples.map(({ mapped }) => mapped.port)).size, 3, 'each is another socket')
  await until(() => udpSockets() === keptOpen)
})

test.serial('a peer that asks too often is told so, and stays joined', async t => {
  await using world = await World.open()
  await world.join('bob')
  const ann = await world.join('ann')
  const both = await Promise.allSettled([ann.nat({ sockets: 1 }), ann.nat({ sockets: 1 })])
  t.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  const refused = both.find(asked => asked.status === 'rejected')
  t.like(refused?.reason, { code: 'timeout', message: 'the network was judged a moment ago; ask again in 1 s' })
  const connection = await ann.connect({ name: 'bob' })
  await connection.close()
})

test.serial('that UDP is blocked is a finding, with the reason', async t => {
  await using world = await World.open()
  const config = `
listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0, 0], public: [127.0.0.9] } }
state: ./mute`
  const mute = await openGateway(parseConfig(config, join(world.folder, 'mute.yaml'), {}))
  const ann = await world.join('ann', { gateway: `http://127.0.0.1:${mute.http.port}`, token: mute.joinToken })
  const findings = await ann.nat()
  t.is(findings.udp, 'blocked')
  t.regex(findings.udp === 'blocked' ? findings.reason : '', /does not answer at 127\.0\.0\.9:\d+ over UDP/)
  await ann.close()
  await mute.close()
})

test.serial('who calls it off gets no report, and no socket is left open', async t => {
  await using world = await World.open(inOurLoop)
  const ann = await world.join('ann')
  const over = new AbortController()
  const onSocket = (number: number) => number === 2 && over.abort(new Error('enough'))
  await t.throwsAsync(ann.nat({ onSocket, signal: over.signal }), { message: 'enough' })
  await until(() => udpSockets() === keptOpen)
  t.like(await ann.nat({ sockets: 1 }), { udp: 'open' }, 'and may ask again')
})

test.serial('with the gateway goes the question', async t => {
  await using world = await World.open()
  const ann = await world.join('ann')
  const onSocket = () => void world.gateway.close()
  await t.throwsAsync(ann.nat({ onSocket }), { code: 'gateway-unreachable' })
  await until(() => udpSockets() === 0)
  await t.throwsAsync(ann.nat(), { code: 'gateway-unreachable' })
})
