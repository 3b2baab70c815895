// What arrives on the gateway's UDP ports: strangers, peers with and without proof, latched sources. Nothing throws, every datagram
// is counted once, and an answer goes back to where the question came from: three times as long at most where the address is not
// proved, and no longer than the question where a key was needed.

import { equal, ok } from 'node:assert/strict'
import { LocalRelay } from '../../../src/gateway/relay/relay.ts'
import { Binding } from '../../../src/gateway/udp/binding.ts'
import type { Credential } from '../../../src/gateway/udp/desk.ts'
import type { Port } from '../../../src/gateway/udp/listen.ts'
import { UdpObserver } from '../../../src/gateway/udp/observe.ts'
import { type Endpoint, sameEndpoint } from '../../../src/wire/endpoint.ts'
import type { SideName } from '../../../src/wire/side.ts'
import { ALLOCATE, decode, decodeClassic, encode } from '../../../src/wire/stun.ts'
import { FakeTime } from '../../gateway/relay/fake-time.ts'
import { fakePorts, question, type Sent, sourceOf } from '../../gateway/udp/fake-ports.ts'
import type { Odd } from '../odd.ts'
import type { Random } from '../random.ts'
import type { Subject, Target } from '../target.ts'
import { mutatedDatagram, datagrams as ofStun } from './stun.ts'

const session = '00112233445566aa'
const keys = { peer: Buffer.alloc(20, 1), caller: Buffer.alloc(20, 2), callee: Buffer.alloc(20, 3) }
const sources: readonly Endpoint[] = [
  { address: '203.0.113.10', port: 40_000 },
  { address: '198.51.100.20', port: 50_000 },
  { address: '10.0.0.7', port: 1 },
  { address: '192.0.2.66', port: 65_535 }
]
/** TURN's Allocate, without credentials and with wrong ones, beside what STUN has. */
const datagrams = [
  ...ofStun,
  ...[{}, { username: 'p:0a:3', realm: 'gate', nonce: Buffer.alloc(12, 65) }].map(said =>
    encode(
      { class: 'request', method: ALLOCATE, transaction: Buffer.alloc(12, 7), priority: 1, ...said },
      'realm' in said ? { key: keys.peer } : {}
    )
  )
]
type Claim = readonly [username: string, key: Buffer]
const claims: readonly [Claim, ...Claim[]] = [
  ['p:0a:3', keys.peer],
  ['f:0a:0', keys.peer],
  [`s:${session}:caller`, keys.caller],
  [`s:${session}:callee`, keys.callee]
]

/** Nothing waits in a queue, from where it would be sent while another operation is under way. */
const unlimited = { perSession: 1e13, perPeer: 1e13, total: 1e13 }

interface Arrival {
  readonly datagram: Buffer
  readonly from: Endpoint
  readonly port: number
  /** The clock goes on by so many milliseconds before it. */
  readonly afterMs: number
}

class Desk implements Subject<Arrival> {
  readonly #sent: Sent[] = []
  readonly #ports = fakePorts(this.#sent)
  readonly #time = new FakeTime()
  readonly #observer = new UdpObserver({ ports: () => this.#ports, public: () => [], now: () => this.#time.now() })
  readonly #relay = new LocalRelay({ maxSessions: 10 })
  readonly #binding: Binding
  readonly #nonces = new Map<string, Buffer>()
  readonly #odd: Odd
  #forwarded = 0

  constructor(odd: Odd) {
    this.#odd = odd
    this.#observer.admit('0a', keys.peer)
    void this.#relay.arm(session, { caller: 'a', callee: 'b' }, unlimited)
    this.#binding = new Binding(
      {
        ports: () => this.#ports,
        publicOf: port => this.#observer.publicOf(port),
        credentialOf: username => this.#credentialOf(username),
        sample: (claimed, port, mapped, echo) => this.#observer.sees(claimed, port, mapped, echo),
        repeats: (port, mapped) => this.#observer.repeats(port, mapped)
      },
      {
        latch: (...latching) => this.#relay.latch(...latching),
        forward: (...datagram) => this.#relay.forward(...datagram) && ++this.#forwarded > 0
      },
      { perSecond: 1e9, discovery: true }
    )
  }

  input(random: Random): Arrival {
    const from = random.chance(0.8) ? random.pick(sources) : undefined
    const address = random.chance(0.9) ? random.bytes(4).join('.') : '2001:db8::1'
    return {
      datagram: random.chance(0.5) ? this.#signed(random) : mutatedDatagram(random, random.pick(datagrams) as Buffer),
      from: from ?? { address, port: random.below(65_536) },
      port: random.below(4),
      afterMs: random.chance(0.01) ? random.size(200_000) : 0
    }
  }

  /** Right under a key, whatever it says; changed afterwards now and then. */
  #signed(random: Random): Buffer {
    const [username, key] = random.pick(claims)
    const datagram = question(
      {
        username: random.chance(0.9) ? username : this.#odd.text(random).slice(0, 99),
        ...(random.chance(0.7) ? { nonce: this.#nonces.get(username) ?? random.bytes(8) } : {}),
        ...(random.chance(0.5) ? { change: { address: random.chance(0.5), port: random.chance(0.5) } } : {}),
        ...(random.chance(0.2) ? { realm: this.#odd.text(random).slice(0, 99) } : {})
      },
      { key, fingerprint: random.chance(0.5) }
    )
    return random.chance(0.2) ? mutatedDatagram(random, datagram) : datagram
  }

  async check({ datagram, from, port, afterMs }: Arrival): Promise<void> {
    this.#time.advance(afterMs)
    const at = this.#ports[port] as Port
    const { authenticated, total } = this.#counted()
    this.#binding.receive(at, sourceOf(from), Buffer.from(datagram))
    const after = this.#counted()
    equal(after.total, total + 1, `it was counted ${after.total - total} times`)
    // The relay latches in a turn of its own.
    for (let turns = 0; turns < 5; turns++) await undefined
    const answers = this.#sent.splice(0)
    ok(answers.length <= 1, `${answers.length} answers`)
    for (const answer of answers) this.#judge(answer, { datagram, from, isKnown: after.authenticated > authenticated })
  }

  #judge(answer: Sent, { datagram, from, isKnown }: Pick<Arrival, 'datagram' | 'from'> & { isKnown: boolean }): void {
    const isForwarded = answer.datagram.equals(datagram)
    if (isForwarded || !sameEndpoint(answer.to, from)) return ok(isForwarded, 'it was answered elsewhere')
    const message = decode(answer.datagram) ?? decodeClassic(answer.datagram)
    const most = datagram.length * (isKnown ? 1 : 3)
    ok(answer.datagram.length <= most, `an answer of ${answer.datagram.length} bytes to ${datagram.length}`)
    ok(message && message.class !== 'request', 'the answer is none')
    if (message.nonce)
      for (const [username, key] of claims) if (message.verify(key)) this.#nonces.set(username, message.nonce)
  }

  #counted() {
    const { plain, discovery, unhonoured, challenged, authenticated, refused, limited, foreign } =
      this.#binding.counters
    const answered = plain + discovery + unhonoured + challenged + authenticated
    return { authenticated, total: answered + refused + limited + foreign + this.#forwarded }
  }

  #credentialOf(username: string): Credential | undefined {
    const [kind = '', id = '', rest = ''] = username.split(':')
    if (kind !== 's') return this.#observer.credentialOf(kind, id, rest)
    if (id !== session || (rest !== 'caller' && rest !== 'callee')) return undefined
    const side: SideName = rest
    return { kind: 'latch', key: keys[side], session: id, side }
  }

  async close(): Promise<void> {
    this.#relay[Symbol.dispose]()
  }
}

export const udp: Target = {
  name: 'udp',
  about: 'datagrams at the gateway: nothing throws, each is counted, no answer is longer than it may be',
  open: odd => new Desk(odd)
}
