import { createSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { listen, type Port } from '../../../src/gateway/udp/listen.ts'

const two = { addresses: ['127.0.0.1', '127.0.0.2'], ports: [0, 0] }

test('every address is bound with every port, and each knows its place', async t => {
  const { ports, close } = await listen(two, () => {})
  t.deepEqual(
    ports.map(({ row, column, local }) => [row, column, local.address]),
    [
      [0, 0, '127.0.0.1'],
      [0, 1, '127.0.0.1'],
      [1, 0, '127.0.0.2'],
      [1, 1, '127.0.0.2']
    ]
  )
  t.is(new Set(ports.map(({ local }) => local.port)).size, 4)
  await close()
})

test('a datagram is told with its source, and answered from the port it came to', async t => {
  const { ports, close } = await listen(two, (port: Port, source: RemoteInfo, datagram: Buffer) =>
    port.send(Buffer.concat([datagram, Buffer.from(String(source.port))]), source)
  )
  const client = createSocket('udp4').bind(0, '127.0.0.1')
  await once(client, 'listening')
  for (const { local } of ports) {
    client.send('from ', local.port, local.address)
    const [answer, source] = (await once(client, 'message')) as [Buffer, RemoteInfo]
    t.is(String(answer), `from ${client.address().port}`)
    t.deepEqual([source.address, source.port], [local.address, local.port])
  }
  client.close()
  await close()
})

test('port 0, which a stranger may write as the source of its datagram, is not answered and harms nothing', async t => {
  const { ports, close } = await listen({ addresses: ['127.0.0.1'], ports: [0] }, () => {})
  t.notThrows(() => ports[0]?.send(Buffer.from('x'), { address: '127.0.0.1', port: 0 }))
  await close()
})

test('what is sent after the end is lost without an error', async t => {
  const { ports, close } = await listen({ addresses: ['127.0.0.1'], ports: [0] }, () => {})
  await close()
  t.notThrows(() => ports[0]?.send(Buffer.from('x'), { address: '127.0.0.1', port: 9 }))
})

test('a destination that refuses or has no route does not close the port', async t => {
  const got = Promise.withResolvers<string>()
  const { ports, close } = await listen({ addresses: ['127.0.0.1'], ports: [0] }, (_port, _source, datagram) =>
    got.resolve(String(datagram))
  )
  const [port] = ports
  if (!port) return t.fail()
  port.send(Buffer.from('x'), { address: '127.0.0.1', port: 1 })
  port.send(Buffer.from('x'), { address: '203.0.113.1', port: 9 })
  port.send(Buffer.from('x'), { address: '255.255.255.255', port: 9 })
  port.send(Buffer.from('still here'), port.local)
  t.is(await got.promise, 'still here')
  await close()
})

test('a port that is taken is named, and none of the others stays bound', async t => {
  const taken = await listen({ addresses: ['127.0.0.2'], ports: [0] }, () => {})
  const port = taken.ports[0]?.local.port ?? 0
  const error = await t.throwsAsync(
    listen({ addresses: ['127.0.0.1', '127.0.0.2'], ports: [port] }, () => {}),
    { instanceOf: PosternError, code: 'port-in-use' }
  )
  t.is(error?.message, `UDP 127.0.0.2:${port} is already in use`)
  await taken.close()
  const again = await listen({ addresses: ['127.0.0.1', '127.0.0.2'], ports: [port] }, () => {})
  await again.close()
})

test('an address that is not of this host is told as such', async t => {
  const error = await t.throwsAsync(
    listen({ addresses: ['203.0.113.1'], ports: [0] }, () => {}),
    { instanceOf: PosternError, code: 'io' }
  )
  t.regex(error?.message ?? '', /203\.0\.113\.1:0 cannot be bound/)
})
