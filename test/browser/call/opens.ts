// Opens pages of a call on hosts of the laboratory, each in a browser of its own: they come from the gateway, by its link.

import { Driven } from '../../lab/driven.ts'
import type { World } from '../../lab/world.ts'
import type { Kind } from '../browsers.ts'
import type { BrowserDrives } from '../driver.ts'
import { CallPage } from './call-page.ts'

/** Another camera than the first one (the second has a form of picture that no call takes), and a window that takes little time to paint. */
const ARGS = ['--use-fake-device-for-media-stream=device-count=3,fps=10', '--window-size=800,600']

/** A browser on a site's host, which has opened the link. */
export async function opensLink(
  { world }: { readonly world: World },
  site: number,
  kind: Kind,
  link: string,
  name: string
): Promise<CallPage> {
  const host = world.sites[site]?.hosts[0]
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
