// hyperdht as its users run it, to be measured beside postern: a network of DHT nodes on the gateway's host, a server that
// announces itself there, and a client whose node has joined that network before it connects, so that what is measured
// is one connection and not the joining. Runs on hosts of the laboratory; open.ts is the parent.

import { createRequire } from 'node:module'
import type { Duplex } from 'node:stream'
import { serveDeeds } from '../../test/lab/driven.ts'

/** As much of hyperdht as is used here; it brings no types. */
interface Dht {
  readonly defaultKeyPair: { publicKey: Buffer }
  fullyBootstrapped(): Promise<void>
  createServer(onConnection: (socket: Duplex) => void): { listen(): Promise<void> }
  connect(publicKey: Buffer): Duplex
  destroy(): Promise<void>
}

interface Options {
  bootstrap: string[]
  host?: string
  port?: number
  ephemeral?: boolean
  firewalled?: boolean
  randomPunchInterval?: number
}

const HyperDht: {
  new (options: Options): Dht
  bootstrapper(port: number, host: string, options: { host: string }): Dht
} = createRequire(import.meta.url)('hyperdht')

export interface HyperdhtTried {
  /** From the call to the event `open`; undefined when it did not open. */
  readonly ms?: number
  /** hyperdht's code for what went wrong; nothing when it ran out of time. */
  readonly why?: string
}

/** hyperdht itself gives up a random port after 35 s. */
const PATIENCE_MS = 40_000

/** A peer takes four other nodes to judge its NAT by, and skips five when it knows eight or more: there are ten. */
const NODES_PER_ADDRESS = 5
const FIRST_PORT = 49_737

/**
 * hyperdht sprays once in 20 s and refuses what comes sooner, which no user who connects once would see: with its
 * shortest interval each trial meets it rested.
 */
const peerOptions = { randomPunchInterval: 1 }

const nodes: Dht[] = []

const deeds = {
  /** On the gateway's host: the network, its nodes on all the addresses. Resolves with the ones to join at. */
  async serve({ addresses }: { addresses: readonly string[] }): Promise<string[]> {
    const [first = ''] = addresses
    const bootstrap = [`${first}:${FIRST_PORT}`]
    for (let port = FIRST_PORT; port < FIRST_PORT + NODES_PER_ADDRESS; port++)
      for (const host of addresses) {
        const alone = nodes.length === 0
        const options = { bootstrap, host, port, ephemeral: false, firewalled: false }
        const node = alone ? HyperDht.bootstrapper(port, host, { host }) : new HyperDht(options)
        await node.fullyBootstrapped()
        nodes.push(node)
      }
    return bootstrap
  },

  /** Joins the network, and announces a server whose public key it resolves with, in hex. */
  async listen({ bootstrap }: { bootstrap: string[] }): Promise<string> {
    const node = await join(bootstrap)
    const server = node.createServer(socket => {
      socket.on('error', () => {})
      socket.on('end', () => socket.end())
    })
    await server.listen()
    return node.defaultKeyPair.publicKey.toString('hex')
  },

  async join({ bootstrap }: { bootstrap: string[] }): Promise<void> {
    await join(bootstrap)
  },

  async call({ to }: { to: string }): Promise<HyperdhtTried> {
    const [node] = nodes
    if (!node) throw new Error('not joined')
    const startMs = performance.now()
    const socket = node.connect(Buffer.from(to, 'hex'))
    const closed = new Promise(resolve => socket.once('close', resolve))
    const tried = await new Promise<HyperdhtTried>(resolve => {
      const timer = setTimeout(() => resolve({}), PATIENCE_MS)
      socket.once('open', () => resolve({ ms: performance.now() - startMs }))
      socket.on('error', (error: NodeJS.ErrnoException) => resolve({ why: error.code ?? error.message }))
      void closed.then(() => clearTimeout(timer))
    })
    socket.destroy()
    await closed
    return tried
  },

  async close(_given: object) {
    for (const node of nodes.toReversed()) await node.destroy()
  }
}

export type HyperdhtDeeds = typeof deeds

async function join(bootstrap: string[]): Promise<Dht> {
  const node = new HyperDht({ bootstrap, ...peerOptions })
  await node.fullyBootstrapped()
  nodes.push(node)
  return node
}

serveDeeds(deeds)
