// What the gateway sends to endpoints that peers claim: one datagram at a time, within limits, and to nobody that it must not.
// test/forwards.test.ts has the same through real NATs.

import test from 'ava'
import { Forwards } from '../../../src/gateway/udp/forwards.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { knockIn } from '../../../src/wire/forward.ts'
import type { FromGateway, Message } from '../../../src/wire/signal.ts'
import { awake, Eyes, endpoints, Hand } from '../session/made.ts'

type Claimed = Message<FromGateway, 'claimed'>

/** A gateway's proofs, with a clock that stands still, and where its datagrams went. */
class Desk {
  readonly eyes = new Eyes()
  readonly sent: { to: Endpoint; datagram: Buffer }[] = []
  nowMs = 0
  /** Whether what is sent comes in at the socket, and the peer returns the nonce. */
  leads = true
  readonly forwards = new Forwards({
    observer: this.eyes,
    own: () => ['192.0.2.200'],
    now: () => this.nowMs,
    send: (datagram, to) => {
      this.sent.push({ to, datagram })
      const nonce = knockIn(datagram)?.toString('base64') ?? ''
      const port = this.port
      if (this.leads) setImmediate(() => this.forwards.proof(this.peer as Hand, { type: 'proof', port, nonce }))
    }
  })
  peer: Hand | undefined
  port = 0

  /** A peer claims an endpoint for a socket that was seen; resolves with what it is told. */
  async claim(
    peer: Hand,
    endpoint: Endpoint,
    { port = 4000, from = '198.51.100.1' } = {}
  ): Promise<Claimed | undefined> {
    using _awake = awake()
    this.eyes.sees(peer, 0, from, 7000)
    this.peer = peer
    this.port = port
    await this.forwards.claim(peer, { type: 'claim', socket: 0, port, endpoint, by: 'given' })
    return peer.said.filter(message => message.type === 'claimed').at(-1)
  }
}

const endpoint = { address: '198.51.100.1', port: 4000 }

const tested = (peer: Hand): Hand => {
  peer.filters({ port: false, address: false })
  return peer
}
const peerOf = (name: string) => tested(new Hand(name))

test('an endpoint is proved by the nonce that was sent there: one datagram of at most 40 bytes, and no more', async t => {
  const desk = new Desk()
  const ann = peerOf('ann')
  t.is(ann.forwardOf(4000), undefined)
  const told = await desk.claim(ann, endpoint)
  t.like(told, { port: 4000, endpoint, outcome: 'proved' })
  t.like(ann.forwardOf(4000), { endpoint, by: 'given', state: 'proved' })
  t.deepEqual(
    desk.sent.map(({ to }) => to),
    [endpoint]
  )
  t.true((desk.sent[0]?.datagram.length ?? 99) <= 40)
  t.like(await desk.claim(ann, endpoint), { outcome: 'proved' }, 'the next socket of the same port')
  t.is(desk.sent.length, 1)
  desk.nowMs += 600_000
  t.like(await desk.claim(ann, endpoint), { outcome: 'proved' })
  t.is(desk.sent.length, 2, 'an old proof is asked for again')
})

test('what does not come in proves nothing, nor does a nonce that was not sent, or one of another port', async t => {
  const desk = new Desk()
  desk.leads = false
  const ann = peerOf('ann')
  const claiming = desk.claim(ann, endpoint)
  await new Promise(setImmediate)
  const nonce = knockIn(desk.sent[0]?.datagram ?? Buffer.alloc(0))?.toString('base64') ?? ''
  t.is(ann.forwardOf(4000)?.state, 'proving')
  desk.forwards.proof(ann, { type: 'proof', port: 4000, nonce: Buffer.alloc(8).toString('base64') })
  desk.forwards.proof(ann, { type: 'proof', port: 4000, nonce: '' })
  desk.forwards.proof(ann, { type: 'proof', port: 4001, nonce })
  desk.forwards.proof(peerOf('bob'), { type: 'proof', port: 4000, nonce })
  const reason = 'what the gateway sent to 198.51.100.1:4000 did not come in at UDP port 4000'
  t.like(await claiming, { outcome: 'unheard', reason })
  t.is(ann.forwardOf(4000)?.state, 'unheard')
})

test('nothing is sent to local, multicast and reserved addresses, nor to the gateway itself', async t => {
  const desk = new Desk()
  const bad = [
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '127.0.0.1',
    '0.0.0.0',
    '169.254.1.1',
    '100.64.0.1',
    '224.0.0.1'
  ]
  const own = ['192.0.2.200', endpoints[0].address, endpoints[2]?.address ?? '']
  for (const address of [...bad, '255.255.255.255', '240.0.0.1', '2001:db8::1', '::1', ...own]) {
    const told = await desk.claim(peerOf(address), { address, port: 4000 })
    t.is(told?.outcome, 'refused', address)
  }
  t.deepEqual(desk.sent, [])
  t.is(desk.forwards.counters.refused, bad.length + 4 + own.length)
})

test("a mapping that the NAT made for the gateway is no forward, if the gateway's address is let in there anyway", async t => {
  const desk = new Desk()
  const mapped = { address: '198.51.100.1', port: 7000 }
  const [lax, strict, cone] = [new Hand('lax'), new Hand('strict'), new Hand('cone')]
  lax.filters({ port: true, address: false })
  strict.filters({ port: false, address: false })
  cone.filters({ port: true, address: true })
  t.is((await desk.claim(lax, mapped))?.outcome, 'refused')
  t.is((await desk.claim(strict, mapped))?.outcome, 'proved', 'only a forward lets it in')
  t.is((await desk.claim(cone, mapped))?.outcome, 'proved', 'anybody is let in')
})

test('a certificate has one try in 30 s, and networks that claim or are claimed have a share', async t => {
  const desk = new Desk()
  const ann = peerOf('ann')
  await desk.claim(ann, endpoint)
  const early = await desk.claim(ann, { ...endpoint, port: 4001 }, { port: 4001 })
  t.like(early, { outcome: 'later', retryMs: 30_000 })
  t.is(ann.forwardOf(4001), undefined)
  desk.nowMs += 30_000
  t.is((await desk.claim(ann, { ...endpoint, port: 4001 }, { port: 4001 }))?.outcome, 'proved')
  for (let n = 0; n < 100; n++) await desk.claim(peerOf(`from ${n}`), { address: `203.${n}.113.1`, port: 9 })
  t.true(desk.sent.length <= 2 + 16, `${desk.sent.length} sent for one network that claims`)
  const before = desk.sent.length
  for (let n = 0; n < 100; n++)
    await desk.claim(peerOf(`to ${n}`), { address: `192.0.3.${n}`, port: 9 }, { from: `198.18.${n}.1` })
  t.true(desk.sent.length - before <= 16, `${desk.sent.length - before} sent to one network`)
  for (let n = 0; n < 200; n++)
    await desk.claim(peerOf(`all ${n}`), { address: `193.${n}.0.1`, port: 9 }, { from: `194.${n}.0.1` })
  t.true(desk.sent.length <= 50 + 2, `${desk.sent.length} sent in all within a moment`)
  t.is(desk.sent.length, desk.forwards.counters.tried)
})

test('a socket with a proved forward is taken before others', async t => {
  const ann = peerOf('ann')
  const at = (number: number) => ({ number, port: 4000 + number, addresses: [], rttMs: 1 })
  for (const number of [5, 0, 6]) ann.warmed(at(number))
  ann.claims(4000, { endpoint, by: 'given', state: 'proved', atMs: 0 })
  ann.claims(4006, { endpoint, by: 'given', state: 'unheard', atMs: 0 })
  t.deepEqual([await ann.takeSocket(), await ann.takeSocket()], [at(0), at(5)])
})
