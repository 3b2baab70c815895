// What a STUN client finds out about its NAT: the tests of RFC 5780 sections 4.3 and 4.4 against a server with two addresses, by
// today's messages and by those of RFC 3489. Usage: discover.ts ADDRESS PORT; prints two findings as JSON.

import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { BINDING, type DecodedStun, decode, decodeClassic, encode } from '../../../src/wire/stun.ts'

export interface Finding {
  /** As the server's first address, its second one, and the second one's other port saw the socket. */
  readonly mapped: readonly (Endpoint | undefined)[]
  /** Whether answers got in from the other address and port, and from the other port alone. */
  readonly admits: { readonly address: boolean; readonly port: boolean }
  /** Whether every answer came from where it says it did. */
  readonly honest: boolean
}

interface Heard {
  readonly answer: DecodedStun
  readonly from: Endpoint
}

const [address = '', port = ''] = process.argv.slice(2)
const primary = { address, port: Number(port) }
console.log(JSON.stringify([await discover(12), await discover(16)]))

/** @param idBytes 12 for today's messages, 16 for those of RFC 3489 */
async function discover(idBytes: 12 | 16): Promise<Finding> {
  const mapping = await open(idBytes)
  const first = await mapping.ask(primary)
  const other = first.answer.other ?? primary
  const second = await mapping.ask({ address: other.address, port: primary.port })
  const third = await mapping.ask(other)
  const filter = await open(idBytes)
  const both = filter.send(primary, { address: true, port: true })
  const alone = filter.send(primary, { address: false, port: true })
  // An answer that was asked for last and has come shows which of the others will not come any more.
  await filter.ask(primary)
  const heard = [...mapping.heard.values(), ...filter.heard.values()]
  mapping.close()
  filter.close()
  return {
    mapped: [first, second, third].map(({ answer }) => answer.mapped),
    admits: { address: filter.heard.has(both), port: filter.heard.has(alone) },
    honest: heard.every(({ answer: { origin }, from }) => origin?.address === from.address && origin.port === from.port)
  }
}

async function open(idBytes: number) {
  const socket = createSocket('udp4').bind(0)
  await once(socket, 'listening')
  const heard = new Map<string, Heard>()
  socket.on('message', (datagram, from) => {
    const answer = decode(datagram) ?? decodeClassic(datagram)
    if (answer) heard.set(answer.transaction.toString('hex'), { answer, from })
  })
  const send = (to: Endpoint, change?: { address: boolean; port: boolean }): string => {
    const transaction = randomBytes(idBytes)
    const question = encode({ class: 'request', method: BINDING, transaction, ...(change ? { change } : {}) })
    socket.send(question, to.port, to.address)
    return transaction.toString('hex')
  }
  return {
    heard,
    send,
    async ask(to: Endpoint): Promise<Heard> {
      const id = send(to)
      for (;;) {
        const found = heard.get(id)
        if (found) return found
        await once(socket, 'message')
      }
    },
    close: () => socket.close()
  }
}
