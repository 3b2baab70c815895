// Two bare node-datachannel peers, the yardstick of direct.ts and soak.ts: plain ICE with the gateway's STUN port, and
// descriptions that the parent carries. Runs on hosts of the laboratory; bare-pair.ts is the parent's end.
//
//   offer ─► answer ─► add ─► accept ─► blast … ─► shut (both)

import nodeDataChannel, { type DataChannel, type PeerConnection } from 'node-datachannel'
import { serveDeeds } from '../../test/lab/driven.ts'

/** A description, and how the rest of the world sees its socket, apart: the order in which checks start matters. */
export interface Described {
  readonly sdp: string
  readonly candidates: readonly string[]
}

/** As much as keeps SCTP busy; measured as good as any larger one. */
const HIGH_BYTES = 4 << 20

let pc: PeerConnection | undefined
let channel: DataChannel | undefined
let open = Promise.withResolvers<void>()
let closed = Promise.withResolvers<void>()

const deeds = {
  async offer({ stun }: { stun: string }): Promise<Described> {
    const made = begin(stun)
    use(made.createDataChannel('bare'))
    return await gathered(made, () => made.setLocalDescription('offer'))
  },

  async answer({ stun, sdp }: { stun: string; sdp: string }): Promise<Described> {
    const made = begin(stun)
    made.onDataChannel(use)
    made.setRemoteDescription(sdp, 'offer')
    return await gathered(made, () => made.setLocalDescription('answer'))
  },

  async accept({ sdp, candidates }: Described) {
    pc?.setRemoteDescription(sdp, 'answer')
    for (const candidate of candidates) pc?.addRemoteCandidate(candidate, '0')
  },

  async add({ candidates }: Pick<Described, 'candidates'>) {
    for (const candidate of candidates) pc?.addRemoteCandidate(candidate, '0')
  },

  async opened(_given: object) {
    await open.promise
  },

  /** Milliseconds from the first message to the far side's word that every byte has arrived. */
  async blast({ bytes, messageBytes }: { bytes: number; messageBytes: number }): Promise<number> {
    const sending = channel
    if (!sending) throw new Error('no channel is open')
    const message = Buffer.alloc(messageBytes, 0x5a)
    const arrived = new Promise(resolve => sending.onMessage(resolve))
    const startMs = performance.now()
    sending.sendMessage(String(bytes))
    let left = bytes
    const pump = () => {
      for (; left > 0 && sending.bufferedAmount() < HIGH_BYTES; left -= message.length)
        sending.sendMessageBinary(message)
    }
    sending.setBufferedAmountLowThreshold(HIGH_BYTES / 2)
    sending.onBufferedAmountLow(pump)
    pump()
    await arrived
    return performance.now() - startMs
  },

  async shut({ first }: { first: boolean }) {
    if (first) pc?.close()
    await closed.promise
    // The far side's close leaves the native half open.
    if (!first) pc?.close()
    pc = undefined
    channel = undefined
  },

  /** Leaves nothing in reserve: a young generation that has grown by 30 MB is not a leak. */
  async collect(_given: object) {
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  },

  async close(_given: object) {}
}

export type BareDeeds = typeof deeds

function begin(stun: string): PeerConnection {
  open = Promise.withResolvers()
  const over = Promise.withResolvers<void>()
  closed = over
  const made = new nodeDataChannel.PeerConnection('bare', {
    iceServers: [`stun:${stun}`],
    bindAddress: '0.0.0.0',
    maxMessageSize: 262_144,
    disableAutoNegotiation: true
  })
  made.onStateChange(state => {
    if (state === 'closed') over.resolve()
  })
  pc = made
  return made
}

/** Counts what arrives; the first message says how much that will be. */
function use(made: DataChannel): void {
  channel = made
  let left = 0
  made.onOpen(() => open.resolve())
  if (made.isOpen()) open.resolve()
  made.onMessage(message => {
    if (typeof message === 'string') left = Number(message)
    else left -= message instanceof ArrayBuffer ? message.byteLength : message.length
    if (left === 0) made.sendMessage('all')
  })
}

function gathered(made: PeerConnection, start: () => void): Promise<Described> {
  return new Promise(resolve => {
    made.onLocalDescription(() => {})
    made.onLocalCandidate(() => {})
    made.onGatheringStateChange(state => {
      if (state === 'complete') resolve(described(made.localDescription()?.sdp ?? ''))
    })
    start()
  })
}

/** Only the candidate the NAT shows: those of the LAN lead nowhere, and checking them takes 50 ms each. */
function described(sdp: string): Described {
  const lines = sdp.split('\r\n')
  const isCandidate = (line: string) => line.startsWith('a=candidate:') || line === 'a=end-of-candidates'
  return {
    sdp: lines.filter(line => !isCandidate(line)).join('\r\n'),
    candidates: lines.filter(line => line.includes(' typ srflx')).map(line => line.slice('a='.length))
  }
}

serveDeeds(deeds)
