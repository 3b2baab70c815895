// On loopback, with a responder made by hand in the place of a browser.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { decode, encode } from 'dns-packet'
import { found } from '../../../src/peer/link/names.ts'

const name = (n: number) => `0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0${n}.local`
const never = new AbortController().signal
const loopback = [{ address: '127.0.0.1', prefix: 8 }]

/** Answers for a name with these datagrams, each time that it is asked for; how often that was. */
async function responder(t: ExecutionContext, asked: string, datagrams: readonly Buffer[]) {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  t.teardown(() => socket.close())
  socket.bind(5353)
  await once(socket, 'listening')
  socket.addMembership('224.0.0.251', '127.0.0.1')
  socket.setMulticastInterface('127.0.0.1')
  const counted = { times: 0 }
  socket.on('message', datagram => {
    if (datagram.length < 12) return
    const { type, questions = [] } = decode(datagram)
    if (type !== 'query' || !questions.some(question => question.name === asked)) return
    counted.times++
    for (const answer of datagrams) socket.send(answer, 5353, '224.0.0.251')
  })
  return counted
}

const answer = (host: string, address: string) =>
  encode({ type: 'response', answers: [{ type: 'A', name: host, ttl: 120, data: address }] })

test.serial('a name that is answered for on a link is where the answer says, at the port that was told', async t => {
  await responder(t, name(1), [
    Buffer.from('no DNS'),
    answer(name(2), '127.0.0.2'),
    answer(name(1).toUpperCase(), '127.0.0.7')
  ])
  t.deepEqual(await found([{ address: name(1), port: 4001 }], loopback, never), [{ address: '127.0.0.7', port: 4001 }])
})

test.serial(
  'an address that is on no link of this host is believed of nobody, and the question is asked a few times',
  async t => {
    const counted = await responder(t, name(3), [answer(name(3), '192.0.2.1')])
    t.deepEqual(await found([{ address: name(3), port: 4001 }], loopback, never), [])
    t.is(counted.times, 3)
  }
)

test.serial('where nobody answers, or there is no link, or nobody waits for it any more, nobody is found', async t => {
  t.deepEqual(await found([{ address: name(4), port: 1 }], loopback, never), [])
  t.deepEqual(await found([{ address: name(4), port: 1 }], [], never), [])
  t.deepEqual(await found([{ address: name(4), port: 1 }], loopback, AbortSignal.abort()), [])
})
