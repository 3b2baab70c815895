// Pages of a call on hosts of the laboratory, each in a browser of its own: they came from the gateway, by its link.

import './built.ts'
import { Driven } from '../../lab/driven.ts'
import { openRig, type Rig } from '../../lab/rig.ts'
import type { Kind } from '../browsers.ts'
import type { BrowserDrives } from '../driver.ts'
import { nat } from '../page.ts'
import { authority, tlsFiles } from '../tls.ts'
import { CallPage } from './call-page.ts'

/** Another camera than the first one (the second has a form of picture that no call takes), and a window that takes little time to paint. */
const ARGS = ['--use-fake-device-for-media-stream=device-count=3,fps=10', '--window-size=800,600']

/**
 * Two sites, a gateway with calls, and the link of a room.
 * @param delaysMs one way, between each site and the public network
 */
export async function openCall(
  strategies: string,
  delaysMs: readonly number[] = [0, 0]
): Promise<{ rig: Rig; link: string } & AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const files = opened.use(await tlsFiles())
  const config = `call: { enabled: true }\nlisten: { tls: ${files.yaml}, udp: { ports: [3478, 3479, 3480] } }`
  const sites = delaysMs.map(delayMs => ({ nat, line: { delayMs } }))
  const rig = opened.use(await openRig({ strategies, config, ca: authority, sites, peers: false, verify: false }))
  const { url, token } = rig.door
  await rig.gateway.do('join', { url, token, name: 'maker', ca: authority })
  const link = await rig.gateway.do('room', { name: 'standup' })
  const all = opened.move()
  return { rig, link, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** A browser on a site's host, which has opened the link. */
export async function opensLink(rig: Rig, site: number, kind: Kind, link: string, name: string): Promise<CallPage> {
  const host = rig.world.sites[site]?.hosts[0]
  if (!host) throw new Error(`there is no site ${site}`)
  const process = new Driven<BrowserDrives>(host, new URL('../driver.ts', import.meta.url))
  const page = new CallPage(
    {
      evaluate: script => process.do('evaluate', { as: 'page', script }),
      complaints: () => process.do('said', {}),
      close: () => process[Symbol.asyncDispose]()
    },
    name
  )
  try {
    await process.do('open', { kind, as: 'page', scheme: 'https', url: link, args: ARGS })
    await page.loaded()
    return page
  } catch (thrown) {
    await page[Symbol.asyncDispose]()
    throw thrown
  }
}
