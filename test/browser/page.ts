// A page in a real browser on a host of the laboratory, as whoever drives it sees it: it joins, connects, and has bytes come back.

import { randomBytes } from 'node:crypto'
import { Driven } from '../lab/driven.ts'
import type { Rig } from '../lab/rig.ts'
import type { Kind } from './browsers.ts'
import type { BrowserDrives, Opening } from './driver.ts'

export const RELAY = '{ relay: { perSession: 200 Mbit/s, perPeer: 200 Mbit/s } }'

/** What most sites of browsers are behind. */
export const nat = 'port-restricted' as const

/** The third port is the relay's for browsers. */
export const config = 'listen: { udp: { ports: [3478, 3479, 3480] } }'

/** How its browser is opened, what the page runs before it joins, how it joins, and on which host of its site. */
type More = Pick<Opening, 'scheme' | 'args'> & {
  readonly tools?: string
  readonly nth?: number
  readonly relayOnly?: boolean
}

/** Where browsers are, and what they join. */
type Where = Pick<Rig, 'world' | 'door'>

/** A browser on a site's host, with a page that has joined. */
export class Web implements AsyncDisposable {
  readonly #process: Driven<BrowserDrives>
  readonly #rig: Where
  readonly name: string

  private constructor(process: Driven<BrowserDrives>, rig: Where, name: string) {
    this.#process = process
    this.#rig = rig
    this.name = name
  }

  static async open(
    rig: Where,
    site: number,
    kind: Kind,
    name: string,
    { nth = 0, ...more }: Omit<More, 'tools' | 'relayOnly'> = {}
  ): Promise<Web> {
    const host = rig.world.sites[site]?.hosts[nth]
    if (!host) throw new Error(`there is no site ${site}`)
    const web = new Web(new Driven<BrowserDrives>(host, new URL('driver.ts', import.meta.url)), rig, name)
    await web.do('open', { kind, as: 'page', ...more })
    return web
  }

  get do() {
    return this.#process.do.bind(this.#process)
  }

  /** The page runs the body of an async function. */
  run(body: string, given: object = {}, as = 'page'): Promise<unknown> {
    return this.do('run', { as, body, given })
  }

  join(options: Pick<More, 'relayOnly'> = {}): Promise<unknown> {
    const { url, token } = this.#rig.door
    return this.run(
      `const accept = connection => {
        globalThis.accepted = connection
        globalThis.onAccepted?.(connection)
        connection.serve('echo', stream => stream.readable.pipeTo(stream.writable))
      }
      globalThis.peer = await postern.join({ ...given, accept })`,
      { gateway: url, token, name: this.name, ...options }
    )
  }

  /** Connects, and has bytes come back; the path, and whether they are those that were sent. */
  async connect(
    to: string,
    bytes: number
  ): Promise<{ kind: string; by: string; door?: string; isWhole: boolean; ms: number }> {
    return (await this.run(
      `globalThis.connection = await peer.connect({ name: given.to, signal: AbortSignal.timeout(20000) })
      const { kind, by, ms, door } = connection.path
      return { kind, by, ms, door, isWhole: await globalThis.echo(given.bytes) }`,
      { to, bytes }
    )) as never
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]()
  }
}

/** Sends bytes that come back, a piece after the other, and compares them. */
export const echo = `globalThis.echo = async (bytes, pauseMs = 0) => {
  const stream = await connection.open('echo')
  const given = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += 65536) crypto.getRandomValues(given.subarray(at, at + 65536))
  const writer = stream.writable.getWriter()
  const writing = (async () => {
    for (let at = 0; at < bytes; at += 16384) {
      await writer.write(given.subarray(at, at + 16384))
      if (pauseMs > 0) await new Promise(resolve => setTimeout(resolve, pauseMs))
    }
    await writer.close()
  })()
  const back = new Uint8Array(await new Response(stream.readable).arrayBuffer())
  await writing
  await stream.closed
  return back.length === bytes && back.every((byte, at) => byte === given[at])
}`

export async function opened(
  rig: Rig,
  site: number,
  kind: Kind,
  { tools, relayOnly, ...more }: More = {}
): Promise<Web> {
  const web = await Web.open(rig, site, kind, `web-${site}-${randomBytes(2).toString('hex')}`, more)
  if (tools) await web.run(tools)
  await web.run(echo)
  await web.join(relayOnly === undefined ? {} : { relayOnly })
  return web
}
