// Plain ICE as anybody would build it on node-datachannel, to be measured beside postern: offer and answer over a
// WebSocket that both peers joined beforehand, candidates trickled, our STUN ports as the STUN server. Runs on hosts of
// the laboratory; connect.ts is the parent.

import nodeDataChannel, { type DataChannel, type DescriptionType, type PeerConnection } from 'node-datachannel'
import { WebSocket, WebSocketServer } from 'ws'
import { serveDeeds } from '../../test/lab/driven.ts'

type Signal =
  | { to: string; from: string; call: number; sdp: string; type: DescriptionType }
  | { to: string; from: string; call: number; candidate: string; mid: string }

export interface IceTried {
  /** From the call to the open channel; undefined when it did not open in time. */
  readonly ms?: number
}

/** A trial that takes longer is aborted and counted as such. */
const PATIENCE_MS = 10_000

let switchboard: WebSocketServer | undefined
let line: WebSocket | undefined
let own = ''
let stun = ''
let calls = 0
const answering = new Map<number, PeerConnection>()
let calling: { call: number; pc: PeerConnection } | undefined

const deeds = {
  /** On the gateway's host: passes each message on to whom it names, as our own signalling does. */
  async serve({ port }: { port: number }) {
    const joined = new Map<string, WebSocket>()
    switchboard = new WebSocketServer({ port, perMessageDeflate: false })
    switchboard.on('connection', (ws, request) => {
      joined.set(request.url?.slice(1) ?? '', ws)
      ws.on('message', text => joined.get(JSON.parse(String(text)).to)?.send(String(text)))
    })
    await new Promise(resolve => switchboard?.on('listening', resolve))
  },

  async join({ url, name, stunServer }: { url: string; name: string; stunServer: string }) {
    own = name
    stun = stunServer
    line = new WebSocket(`${url}/${name}`, { perMessageDeflate: false })
    line.on('message', text => receive(JSON.parse(String(text))))
    await new Promise(resolve => line?.on('open', resolve))
  },

  async call({ to }: { to: string }): Promise<IceTried> {
    const startMs = performance.now()
    const call = calls++
    const pc = connection(to, call)
    calling = { call, pc }
    const channel = pc.createDataChannel('bench')
    const ms = await new Promise<number | undefined>(resolve => {
      const timer = setTimeout(resolve, PATIENCE_MS, undefined)
      channel.onOpen(() => {
        clearTimeout(timer)
        resolve(performance.now() - startMs)
      })
    })
    calling = undefined
    await shut(pc)
    return ms === undefined ? {} : { ms }
  },

  async close(_given: object) {
    await Promise.all([...answering.values()].map(shut))
    line?.close()
    switchboard?.close()
    for (const ws of switchboard?.clients ?? []) ws.terminate()
  }
}

export type IceDeeds = typeof deeds

function connection(to: string, call: number): PeerConnection {
  const pc = new nodeDataChannel.PeerConnection('ice', { iceServers: [`stun:${stun}`], bindAddress: '0.0.0.0' })
  pc.onLocalDescription((sdp, type) => say({ to, from: own, call, sdp, type }))
  pc.onLocalCandidate((candidate, mid) => say({ to, from: own, call, candidate, mid }))
  return pc
}

function receive(signal: Signal): void {
  const pc = calling?.call === signal.call && calling ? calling.pc : answer(signal)
  if ('sdp' in signal) pc.setRemoteDescription(signal.sdp, signal.type)
  else pc.addRemoteCandidate(signal.candidate, signal.mid)
}

const channels = new Set<DataChannel>()

function answer({ from, call }: Signal): PeerConnection {
  const known = answering.get(call)
  if (known) return known
  const pc = connection(from, call)
  answering.set(call, pc)
  pc.onDataChannel(channel => {
    channels.add(channel)
    channel.onClosed(() => channels.delete(channel))
  })
  pc.onStateChange(state => {
    if (state !== 'closed' && state !== 'failed' && state !== 'disconnected') return
    answering.delete(call)
    setImmediate(() => pc.close())
  })
  return pc
}

const say = (signal: Signal) => line?.send(JSON.stringify(signal))

/** Resolves when the connection has reached its closed state. */
function shut(pc: PeerConnection): Promise<void> {
  return new Promise(resolve => {
    if (pc.state() === 'closed') return resolve()
    pc.onStateChange(state => {
      if (state === 'closed') resolve()
    })
    pc.close()
  })
}

serveDeeds(deeds)
