// One run of the test. The page is a visitor, and no peer: the gateway gives it a name and a password with its endpoints, and what they see
// of its sockets is judged there. Where nothing comes back over UDP, an agent of it dials the relay's TCP door.
//
//   asked ─► begin ─► sockets, one after the other ─► all answered, or nothing for a while ─► shown ─► done
//                            └─► nothing for a second ─► TCP ─┘

import { agentPace } from '../browser/abilities.ts'
import { doorsOf, tcpCandidate } from '../browser/doors.ts'
import { Prepared } from '../browser/warm.ts'
import { sleep, within } from '../clock.ts'
import { page } from '../network-words.ts'
import { description } from '../peer/transport/description.ts'
import { ICE_TCP } from '../wire/doors/ice-tcp.ts'
import type { Begin, FromDesk } from '../wire/nettest/messages.ts'
import { RUN_MS, RUN_PATH, SOCKETS, TEST_PATH } from '../wire/nettest/path.ts'

export type Step = keyof typeof page.steps

/** A sentence for a person, and what to do about it where there is more to say. */
export class Refused extends Error {
  /** After how many milliseconds it may be tried again; undefined: at once. */
  readonly retryMs: number | undefined

  constructor(sentence: string, retryMs?: number) {
    super(sentence)
    this.retryMs = retryMs
  }
}

/** Between two sockets, in milliseconds: the gateway sees how ports go on meanwhile. */
const PAUSE_MS = 200

/** UDP that is not answered in this time is taken for blocked. */
const SOON_MS = 1000

/** How long UDP is waited for besides, while an agent looks for a door, in milliseconds. */
const DOOR_MS = 2500

/** How long the gateway may take to answer, in milliseconds, besides the time of a run. */
const SLACK_MS = 5000

/** Runs it, and resolves with the id of the result. Rejects with `Refused`. */
export async function run(at: (step: Step) => void): Promise<string> {
  if (!('RTCPeerConnection' in globalThis)) throw new Refused(page.unsupported)
  at('asked')
  const desk = new Desk()
  const prepared: Prepared[] = []
  try {
    const begin = await desk.hears('begin')
    at('shows')
    const shown = await shows(begin, prepared, at, desk)
    at('judged')
    desk.say({ type: 'shown', sockets: shown, agent: agentPace() })
    return (await desk.hears('done')).result
  } finally {
    for (const one of prepared) one.close()
    desk.close()
  }
}

/** Shows sockets, and finds a door where nothing answers. Returns those that the browser has bound. */
async function shows(
  begin: Begin,
  prepared: Prepared[],
  at: (step: Step) => void,
  desk: Desk
): Promise<{ socket: number; port: number }[]> {
  const { visit: peer, key, endpoints } = begin
  const ended: Promise<unknown>[] = []
  for (let socket = 0; socket < SOCKETS; socket++) {
    if (socket > 0) await desk.unless(sleep(PAUSE_MS))
    const one = new Prepared(socket, { peer, key, endpoints }, undefined, false)
    prepared.push(one)
    one.bind().catch(() => {})
    ended.push(one.shown.catch(() => {}))
  }
  const all = Promise.all(ended)
  const [first] = prepared
  if (!first || (await desk.unless(areAnswered(prepared)))) await desk.unless(all)
  else {
    at('dials')
    await desk.unless(within(DOOR_MS, Promise.all([all, dial(first, begin)])))
  }
  return prepared.filter(({ port }) => port > 0).map(({ number: socket, port }) => ({ socket, port }))
}

/** Whether one of them is answered soon. */
function areAnswered(prepared: readonly Prepared[]): Promise<boolean> {
  const answered = Promise.any(prepared.map(one => Promise.race([one.answered, one.shown]))).then(
    () => true,
    () => false
  )
  return Promise.race([answered, sleep(SOON_MS).then(() => false)])
}

/** Has its agent dial the doors. Resolves once one has answered; the gateway knows by itself. */
async function dial({ pc }: Prepared, { tcp, door, endpoints }: Begin): Promise<void> {
  const features = { type: 'features' as const, features: [ICE_TCP], tcp: [...tcp] }
  const candidates = doorsOf(features, location.origin, endpoints[0]?.address ?? '').map(tcpCandidate)
  const sdp = description({ role: 'active', remote: door, fingerprint: NOBODY }, { candidates })
  const found = new Promise<void>(resolve => {
    pc.oniceconnectionstatechange = () => {
      if (['connected', 'completed', 'failed', 'closed'].includes(pc.iceConnectionState)) resolve()
    }
  })
  await pc.setRemoteDescription({ type: 'answer', sdp }).then(
    () => found,
    () => {}
  )
}

/** The fingerprint of a certificate that nobody has: there is nothing behind the door. */
const NOBODY = Array(32).fill('00').join(':')

/** The WebSocket to the gateway. */
class Desk {
  readonly #ws: WebSocket
  readonly #heard: FromDesk[] = []
  readonly #over = Promise.withResolvers<never>()
  #told: () => void = () => {}

  constructor() {
    const here = new URL(location.href)
    here.protocol = here.protocol.replace('http', 'ws')
    here.pathname = here.pathname.replace(/\/*$/, RUN_PATH.slice(TEST_PATH.length))
    this.#ws = new WebSocket(here)
    let isOpen = false
    this.#ws.onopen = () => {
      isOpen = true
    }
    this.#ws.onmessage = ({ data }: MessageEvent<string>) => this.#hear(JSON.parse(data))
    this.#ws.onclose = () => this.#over.reject(new Refused(isOpen ? page.lost : page.unreachable))
    this.#over.promise.catch(() => {})
  }

  /** Resolves with the next message, which has to be of this type. */
  async hears<Type extends 'begin' | 'done'>(type: Type): Promise<Extract<FromDesk, { type: Type }>> {
    const told = new Promise<void>(resolve => {
      this.#told = resolve
    })
    if (this.#heard.length === 0) await within(RUN_MS + SLACK_MS, Promise.race([told, this.#over.promise]))
    const message = this.#heard.shift()
    if (message?.type !== type) throw new Refused(page.lost)
    return message as Extract<FromDesk, { type: Type }>
  }

  /** Waits for something, unless the gateway ends the run meanwhile. */
  unless<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#over.promise])
  }

  say(message: object): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.send(JSON.stringify(message))
  }

  close(): void {
    this.#ws.onclose = null
    this.#ws.close()
  }

  #hear(message: FromDesk): void {
    if (message.type === 'refused') return this.#over.reject(new Refused(sentenceOf(message.reason), message.retryMs))
    this.#heard.push(message)
    this.#told()
  }
}

/** The page counts down by itself what is said there of when to come again. */
const sentenceOf = (reason: string): string =>
  `${reason.charAt(0).toUpperCase()}${reason.slice(1).replace(/; ask again in \d+ s$/, '')}.`
