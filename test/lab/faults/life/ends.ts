// The two ends of a connection that lives through faults: a page in a real browser, or a peer in Node. Each sends numbered bytes and
// takes the other's. A page films, and shows what comes: the other page's picture, or its own that Node sends back.

import type { Kind } from '../../../browser/browsers.ts'
import { Web } from '../../../browser/page.ts'
import { Driven } from '../../driven.ts'
import type { Host, Site, World } from '../../world.ts'
import { TOKEN as token, GATEWAY_URL as url } from '../ground.ts'
import { makeFlow, type Sums } from './flow.ts'
import type { NodeDeeds } from './node.ts'
import type { Times } from './watch.ts'

export type EndKind = Kind | 'node'

/** What an end has seen since a time. Frames were decoded and shown by a page; in Node they are packets of video. */
export type Seen = Sums & Times<'bytes' | 'frames'>

export interface End extends AsyncDisposable {
  readonly site: Site
  readonly host: Host
  readonly name: string
  /** Joins afresh, and forgets what was before. */
  join(): Promise<unknown>
  /** The kind of path. */
  connect(to: End): Promise<string>
  begin(bytesPerSecond: number): Promise<unknown>
  seen(sinceMs: number): Promise<Seen>
  /** Sends nothing more; resolves when the far side has heard the end. */
  finish(): Promise<unknown>
}

export async function openEnd(world: World, at: number, kind: EndKind): Promise<End> {
  const site = world.sites[at]
  const host = site?.hosts[0]
  if (!host) throw new Error(`there is no site ${at}`)
  const about = { site, host, name: `${kind}-${at}` }
  return kind === 'node' ? nodeEnd(about) : await pageEnd(world, at, kind, about)
}

type About = Pick<End, 'site' | 'host' | 'name'>

function nodeEnd(about: About): End {
  const driven = new Driven<NodeDeeds>(about.host, new URL('node.ts', import.meta.url))
  return {
    ...about,
    join: () => driven.do('join', { url, token, name: about.name }),
    connect: ({ name }) => driven.do('connect', { to: name }),
    begin: bytesPerSecond => driven.do('begin', { bytesPerSecond }),
    seen: sinceMs => driven.do('seen', { sinceMs }) as Promise<Seen>,
    finish: () => driven.do('finish', {}),
    [Symbol.asyncDispose]: () => driven[Symbol.asyncDispose]()
  }
}

/** The browser stays open; each time it joins there is another page. */
async function pageEnd(world: World, at: number, kind: Kind, about: About): Promise<End> {
  const web = await Web.open({ world, door: { url, token } }, at, kind, about.name)
  const run = (body: string, given: object = {}) => web.run(body, given)
  return {
    ...about,
    async join() {
      await run('await globalThis.peer?.close()')
      await web.do('shut', { as: 'page' })
      await web.do('open', { kind, as: 'page' })
      await run(equipment, { url, token, name: about.name })
    },
    connect: async ({ name }) => String(await run('return await connect(given)', { name })),
    begin: bytesPerSecond => run('await begin(given.bytesPerSecond)', { bytesPerSecond }),
    seen: async sinceMs => (await run('return seen(given.sinceMs)', { sinceMs })) as Seen,
    finish: () => run('flow.finish(); await sending'),
    [Symbol.asyncDispose]: () => web[Symbol.asyncDispose]()
  }
}

const equipment = `
  const news = []
  const tell = what => news.push((performance.timeOrigin + performance.now()).toFixed(0) + ' ' + what)
  const flow = globalThis.flow = (${makeFlow})()
  const video = document.createElement('video')
  Object.assign(video, { muted: true, autoplay: true })
  document.body.append(video)
  const count = () => {
    flow.frame()
    video.requestVideoFrameCallback(count)
  }
  video.requestVideoFrameCallback(count)
  const held = Promise.withResolvers()
  const equip = connection => {
    held.resolve(connection)
    globalThis.connection = connection
    connection.serve('numbers', stream => flow.receive(stream))
    connection.on('path', ({ what, path }) => tell(what + ' ' + path.kind + (path.door === 'tcp' ? ' by tcp' : '')))
    connection.on('quiet', () => tell('quiet'))
    connection.on('track', ({ stream }) => {
      video.srcObject = stream
      video.play().catch(() => {})
    })
  }
  globalThis.connect = async ({ name }) => {
    const made = await peer.connect({ name, signal: AbortSignal.timeout(20000) })
    equip(made)
    return made.path.kind
  }
  globalThis.begin = async bytesPerSecond => {
    const connection = await held.promise // the side that was called has it a moment later
    globalThis.sending = flow.send(await connection.open('numbers'), bytesPerSecond)
    sending.catch(() => {})
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } })
    for (const track of media.getTracks()) await connection.addTrack(track)
  }
  globalThis.seen = sinceMs => {
    const reason = connection.closed.aborted ? String(connection.closed.reason) : undefined
    return { ...flow.times(sinceMs), ...flow.sums(), reason, news }
  }
  const onState = ({ joined }) => tell(joined ? 'joined' : 'link lost')
  globalThis.peer = await postern.join({ gateway: given.url, token: given.token, name: given.name, accept: equip, onState })`
