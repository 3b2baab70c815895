// Plain ICE as anybody would build it on node-datachannel, to be measured beside postern: offer and answer over a
// WebSocket that both peers joined beforehand, candidates trickled. Runs on hosts of the laboratory; a page does the same by page.ts.

import { createServer } from 'node:https'
import nodeDataChannel, {
  type DataChannel,
  type DescriptionType,
  type IceServer as NativeServer,
  type PeerConnection
} from 'node-datachannel'
import { WebSocket, WebSocketServer } from 'ws'
import { serveDeeds } from '../driven.ts'
import { PATIENCE_MS } from './page.ts'

/** What two peers say to each other; `call` is the caller's own name for the attempt. */
type Signal = { to: string; from: string; call: string } & (
  | { sdp: string; type: DescriptionType }
  | { candidate: string; mid: string }
)

/** Where a peer learns its reflexive address; with a `user` and a `password`, it has itself relayed there, too. */
export interface IceServer {
  readonly address: string
  readonly port: number
  readonly user?: string
  readonly password?: string
}

export interface Joining {
  readonly url: string
  readonly name: string
  readonly server: IceServer
  /** The authority of the switchboard's certificate, in PEM, where it has one. */
  readonly ca?: string
}

export interface IceTried {
  /** From the call to the open channel; undefined when it did not open in time. */
  readonly ms?: number
}

let switchboard: WebSocketServer | undefined
let line: WebSocket | undefined
let own = ''
let servers: (string | NativeServer)[] = []
/** The address that relayed candidates have; empty where there is no TURN server. */
let turn = ''
let calls = 0
/** By the name of the call. */
const open = new Map<string, PeerConnection>()
/** The one that began last. */
let newest: PeerConnection | undefined
/** An open channel whose object is let go is closed by the next garbage collection. */
const channels = new Set<DataChannel>()

const deeds = {
  /** On the gateway's host: passes each message on to whom it names, as our own signalling does. */
  async serve({ port, tls }: { port: number; tls?: { cert: string; key: string } }) {
    const joined = new Map<string, WebSocket>()
    const server = tls && createServer(tls).listen(port)
    switchboard = new WebSocketServer({ ...(server ? { server } : { port }), perMessageDeflate: false })
    switchboard.on('connection', (ws, request) => {
      joined.set(request.url?.slice(1) ?? '', ws)
      ws.on('message', text => joined.get(JSON.parse(String(text)).to)?.send(String(text)))
    })
    await new Promise(resolve => switchboard?.on('listening', resolve))
  },

  async join({ url, name, server, ca }: Joining) {
    own = name
    const { address, port, user, password } = server
    servers = [`stun:${address}:${port}`]
    turn = user ? address : ''
    if (user && password) servers.push({ hostname: address, port, username: user, password, relayType: 'TurnUdp' })
    line = new WebSocket(`${url}/${name}`, { perMessageDeflate: false, ...(ca ? { ca } : {}) })
    line.on('message', text => receive(JSON.parse(String(text))))
    await new Promise((resolve, reject) => line?.on('open', resolve).on('error', reject))
  },

  /** Calls; with `hold`, what opened stays open until `release`. */
  async call({ to, hold = false }: { to: string; hold?: boolean }): Promise<IceTried> {
    const startMs = performance.now()
    const pc = connection(to, `${own}-${calls++}`)
    const channel = pc.createDataChannel('bench')
    channels.add(channel)
    const ms = await new Promise<number | undefined>(resolve => {
      const timer = setTimeout(resolve, PATIENCE_MS, undefined)
      channel.onOpen(() => {
        clearTimeout(timer)
        resolve(performance.now() - startMs)
      })
    })
    if (!hold) await release()
    return ms === undefined ? {} : { ms }
  },

  /**
   * Of what kind this side's own candidate of the newest connection is, `host`, `srflx` or `prflx`; `relay` where either side's is:
   * for a moment each may send to the relay of the other.
   */
  async candidate(_given: object): Promise<string | undefined> {
    const { local, remote } = newest?.getSelectedCandidatePair() ?? {}
    const isRelayed = remote?.type === 'relay' || remote?.address === turn
    return isRelayed ? 'relay' : local?.type
  },

  /** Closes all connections. */
  release: (_given: object) => release(),

  async close(_given: object) {
    await release()
    line?.close()
    switchboard?.close()
    for (const ws of switchboard?.clients ?? []) ws.terminate()
  }
}

export type IceDeeds = typeof deeds

function connection(to: string, call: string): PeerConnection {
  const pc = new nodeDataChannel.PeerConnection('ice', { iceServers: servers, bindAddress: '0.0.0.0' })
  pc.onLocalDescription((sdp, type) => say({ to, from: own, call, sdp, type }))
  pc.onLocalCandidate((candidate, mid) => say({ to, from: own, call, candidate, mid }))
  open.set(call, pc)
  newest = pc
  return pc
}

function receive(signal: Signal): void {
  const pc = open.get(signal.call) ?? ('sdp' in signal && signal.type === 'offer' ? answer(signal) : undefined)
  // What comes late is of a connection that is over.
  if (!pc) return
  if ('sdp' in signal) pc.setRemoteDescription(signal.sdp, signal.type)
  else pc.addRemoteCandidate(signal.candidate, signal.mid)
}

function answer({ from, call }: Signal): PeerConnection {
  const pc = connection(from, call)
  pc.onDataChannel(channel => {
    channels.add(channel)
    channel.onClosed(() => channels.delete(channel))
  })
  pc.onStateChange(state => {
    if (state !== 'closed' && state !== 'failed' && state !== 'disconnected') return
    open.delete(call)
    setImmediate(() => pc.close())
  })
  return pc
}

const say = (signal: Signal) => line?.send(JSON.stringify(signal))

async function release(): Promise<void> {
  const all = [...open.values()]
  open.clear()
  newest = undefined
  await Promise.all(all.map(shut))
  channels.clear()
}

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
