// Who is in a pair, and what is asked of each: a page in a browser, or a peer in Node. Both speak plain ICE as well.

import { randomBytes } from 'node:crypto'
import { media } from '../../browser/media.ts'
import { echo, Web } from '../../browser/page.ts'
import { until } from '../../until.ts'
import { type IceActor, type IceGround, iceInNode, iceInPage } from '../plain-ice/ground.ts'
import type { Guest, Rig } from '../rig.ts'
import type { Kind } from './pairs.ts'
import type { Gain } from './row.ts'

export interface Called {
  readonly path?: { readonly kind: 'direct' | 'relay'; readonly by: string; readonly ms: number }
  readonly failed?: { readonly code: string; readonly reason: string }
  /** The gateway's trace of it, where there is one. */
  readonly trace?: string | undefined
}

export interface Actor extends AsyncDisposable {
  readonly name: string
  /** Whether it sends bytes that come back, and films; the other one of a pair only answers then. */
  readonly isPage: boolean
  /** From now on it keeps the next connection that it is called by. */
  awaits(): Promise<void>
  /** Whether it has the connection that it was called by: when it has, or after a while. */
  called(): Promise<boolean>
  call(to: string): Promise<Called>
  /** Whether bytes came back as they were sent. */
  echo(bytes: number): Promise<boolean>
  /** Begins to send sound and pictures, and to look at those of the far side. */
  film(): Promise<void>
  /** What came in each second of so many, from the moment on when some of either kind has come. */
  watch(seconds: number): Promise<Gain[]>
  /** The connection is closed, and what was filmed with. */
  hangUp(): Promise<void>
  readonly ice: IceActor
}

export const openActor = (rig: Rig, site: number, kind: Kind, ground: IceGround): Promise<Actor> =>
  kind === 'node' ? nodeActor(rig, site, ground) : pageActor(rig, site, kind, ground)

/** What the page runs besides: what is left of the pair before is out of the way first. */
const tools = `${media}
  globalThis.shoot = async () => {
    for (const pc of all) if (pc.signalingState === 'closed') all.delete(pc)
    view(connection)
    await film(connection)
  }
  globalThis.watch = async seconds => {
    await sees({ frames: 1, samples: 1 })
    const gains = []
    for (let before = await seen(); gains.length < seconds; ) {
      await new Promise(resolve => setTimeout(resolve, 1000))
      const now = await seen()
      gains.push({ frames: now.frames - before.frames, samples: now.samples - before.samples })
      before = now
    }
    return gains
  }
  globalThis.hangUp = async () => {
    for (const video of document.querySelectorAll('video')) video.remove()
    for (const { track } of globalThis.sent ?? []) track.stop()
    globalThis.sent = []
    await globalThis.connection?.close()
    globalThis.connection = undefined
  }`

/** How long a request may take, and how soon after it the side that was called has the connection, too. */
const CALL_MS = 30_000
const CALLED_MS = 10_000

async function pageActor(rig: Rig, site: number, kind: Exclude<Kind, 'node'>, ground: IceGround): Promise<Actor> {
  const name = `${kind}-${site}-${randomBytes(2).toString('hex')}`
  const web = await Web.open(rig, site, kind, name, { scheme: 'https' })
  try {
    await web.run(`${tools}\n${echo}`)
    await web.join()
  } catch (error) {
    await web[Symbol.asyncDispose]()
    throw error
  }
  const calls = `try {
      globalThis.connection = await peer.connect({ name: given.to, signal: AbortSignal.timeout(${CALL_MS}) })
      const { kind, by, ms, trace } = connection.path
      return { path: { kind, by, ms }, trace }
    } catch ({ code = 'internal', message, trace }) {
      return { failed: { code, reason: message }, trace }
    }`
  const awaited = `globalThis.coming = new Promise(resolve => {
      globalThis.onAccepted = connection => {
        globalThis.connection = connection
        resolve(true)
      }
    })`
  const called = `return await Promise.race([coming, new Promise(resolve => setTimeout(resolve, ${CALLED_MS}, false))])`
  return {
    ...{ name, isPage: true, ice: iceInPage(web, ground) },
    awaits: async () => void (await web.run(awaited)),
    called: async () => (await web.run(called)) as boolean,
    call: async to => (await web.run(calls, { to })) as Called,
    echo: async bytes => (await web.run('return await echo(given.bytes)', { bytes })) as boolean,
    film: async () => void (await web.run('await shoot()')),
    watch: async seconds => (await web.run('return await watch(given.seconds)', { seconds })) as Gain[],
    hangUp: async () => void (await web.run('await hangUp()')),
    [Symbol.asyncDispose]: () => web[Symbol.asyncDispose]()
  }
}

/** It answers what a page sends: bytes, sound and pictures go back as they came. */
async function nodeActor(rig: Rig, site: number, ground: IceGround): Promise<Actor> {
  const home = rig.world.sites[site]
  const host = home?.hosts[0]
  if (!home || !host) throw new Error(`there is no site ${site}`)
  const guest: Guest = await rig.guest(home)
  const { name, process } = guest
  const ice = iceInNode(host, name, ground)
  const heard = async (): Promise<Gain> => {
    const { audio, video } = await process.do('heard', {})
    return { frames: video, samples: audio }
  }
  const nothing = async () => {}
  return {
    ...{ name, isPage: false, ice },
    awaits: nothing,
    called: async () => true,
    film: nothing,
    async call(to) {
      const { path, failed, trace } = await process.do('connect', { to, bytes: 0, hold: true, serves: true })
      return { ...(path ? { path } : {}), ...(failed ? { failed } : {}), trace }
    },
    async echo() {
      throw new Error('a peer in Node only answers')
    },
    watch: seconds => watch(heard, seconds),
    hangUp: async () => void (await process.do('release', {})),
    async [Symbol.asyncDispose]() {
      await ice[Symbol.asyncDispose]()
      await guest[Symbol.asyncDispose]()
    }
  }
}

/** How long sound and pictures may take to come, as in a page. */
const MEDIA_MS = 15_000

async function watch(heard: () => Promise<Gain>, seconds: number): Promise<Gain[]> {
  const first = await heard()
  const hasBegun = ({ frames, samples }: Gain) => frames > first.frames && samples > first.samples
  await until(async () => hasBegun(await heard()), MEDIA_MS).catch(() => {})
  const gains: Gain[] = []
  for (let before = await heard(); gains.length < seconds; ) {
    await new Promise(resolve => setTimeout(resolve, 1000))
    const now = await heard()
    gains.push({ frames: now.frames - before.frames, samples: now.samples - before.samples })
    before = now
  }
  return gains
}
