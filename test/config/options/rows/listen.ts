// Where a gateway is reached: its names, its certificate, and what it tells peers of its addresses.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:tls'
import { asPosternError } from '../../../../src/errors.ts'
import { listen } from '../../../../src/gateway/udp/listen.ts'
import type { Endpoint } from '../../../../src/wire/endpoint.ts'
import { decode } from '../../../../src/wire/stun.ts'
import { End } from '../../../gateway/doors/house.ts'
import { question } from '../../../gateway/udp/fake-ports.ts'
import { authority, certified } from '../../../peer/tls.ts'
import type { Options, Rows } from '../option.ts'
import { looking, Seen } from '../seen.ts'

const pem = { 'cert.pem': certified.cert, 'key.pem': certified.key }

/** The name in the certificate that the HTTP port shows, `clear` where it speaks no TLS, or why the gateway does not start. */
async function certificateOf(options: Options): Promise<string> {
  try {
    await using seen = await Seen.open(options, pem)
    const socket = connect({ port: seen.world.gateway.http.port, host: '127.0.0.1', ca: authority })
    const found = await Promise.race([once(socket, 'secureConnect'), once(socket, 'error')]).then(
      () => String(socket.getPeerCertificate().subject?.CN),
      () => 'clear'
    )
    socket.destroy()
    return found
  } catch (error) {
    return asPosternError(error).code
  }
}

/** Two ports that two addresses of loopback have free: discovery takes the same ones at both. */
async function twoPorts(): Promise<number[]> {
  const free = await listen({ addresses: ['127.0.0.1'], ports: [0, 0] })
  const ports = free.ports.map(({ local }) => local.port)
  await free.close()
  return ports
}

/** Asks as any STUN client does. */
async function ask(asked: Parameters<typeof question>[0], at: Endpoint) {
  const client = createSocket('udp4')
  const answered = once(client, 'message') as Promise<[Buffer, Endpoint]>
  client.send(question(asked), at.port, at.address)
  const [datagram, from] = await answered
  client.close()
  return { message: decode(datagram), from }
}

const health = (url: string, headers: Readonly<Record<string, string>> = {}): Promise<number | 'closed'> =>
  fetch(`${url}/healthz`, { headers }).then(
    ({ status }) => status,
    () => 'closed'
  )

export const listenRows: Rows = {
  'listen.tls.cert': {
    changed: 'cert.pem',
    together: { 'listen.tls.key': 'key.pem' },
    observe: certificateOf,
    outcomes: ['clear', 'gateway']
  },
  'listen.tls.key': {
    changed: 'key.pem',
    beside: { 'listen.tls.cert': 'cert.pem' },
    observe: certificateOf,
    outcomes: ['bad-config', 'gateway']
  },
  'listen.url': {
    changed: ['https://postern.example.org'],
    observe: looking(seen => seen.admission('ann', { place: 'https://other.example.org' })),
    outcomes: ['welcome', 'wrong-gateway']
  },
  // What a proxy adds has to be an address; from anybody else it is not even read.
  'listen.trustProxy': {
    changed: ['127.0.0.1'],
    observe: looking(({ world }) => health(world.url, { 'x-forwarded-for': 'somebody' })),
    outcomes: [200, 400]
  },
  'listen.proxyProtocol': {
    beside: { 'listen.trustProxy': ['127.0.0.1'] },
    changed: true,
    observe: looking(({ world }) => health(world.url)),
    outcomes: [200, 'closed']
  },
  'listen.udp.public': {
    changed: ['203.0.113.10'],
    observe: looking(async seen => (await seen.join('ann')).welcome.endpoints[0]?.address),
    outcomes: ['127.0.0.1', '203.0.113.10']
  },
  'listen.tcp': {
    changed: [0],
    observe: looking(async seen => {
      const ann = await seen.join('ann')
      await ann.settled()
      const [port] = ann.features?.tcp ?? []
      if (port === undefined) return 'no port'
      const end = await End.tcp(port)
      const { mapped } = await end.ask()
      end.close()
      return mapped?.port === end.localPort ? 'takes frames' : 'takes none'
    }),
    outcomes: ['no port', 'takes frames']
  },
  'stun.discovery': {
    changed: false,
    async observe(options) {
      const [addresses, ports] = [['127.0.0.1', '127.0.0.2'], await twoPorts()]
      await using seen = await Seen.open({ ...options, 'listen.udp.addresses': addresses, 'listen.udp.ports': ports })
      const [at] = seen.world.gateway.endpoints
      if (!at) throw new Error('no endpoint')
      const { message, from } = await ask({ change: { address: true, port: true } }, at)
      return message?.error?.code ?? from.address
    },
    outcomes: ['127.0.0.2', 420]
  }
}
