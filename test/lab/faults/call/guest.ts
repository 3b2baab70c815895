// Somebody in a call of two: a browser on a host of the laboratory with the page of the gateway, and what it shows of the other one.

import { strings } from '../../../../src/call/words/strings.ts'
import type { Kind } from '../../../browser/browsers.ts'
import type { CallPage } from '../../../browser/call/call-page.ts'
import { opensLink } from '../../../browser/call/opens.ts'
import type { Host, Site, World } from '../../world.ts'
import type { Times, Watched } from '../life/watch.ts'
import { counting } from './counting.ts'

/** What may pause: pictures that are shown, and sound that is played as it came. */
export const WHATS = ['frames', 'sound'] as const

type What = (typeof WHATS)[number]

/** A badge is right so soon, in milliseconds. */
const BADGE_MS = 2000

export class Guest implements Watched<What>, AsyncDisposable {
  readonly site: Site
  readonly host: Host
  readonly page: CallPage

  private constructor(site: Site, host: Host, page: CallPage) {
    this.site = site
    this.host = host
    this.page = page
  }

  /** Its browser has opened the link, and shows the lobby. */
  static async open(world: World, at: number, kind: Kind, link: string): Promise<Guest> {
    const page = await opensLink({ world }, at, kind, link, `${kind}-${at}`)
    const site = world.sites[at] as Site
    return new Guest(site, site.hosts[0] as Host, page)
  }

  get name(): string {
    return this.page.name
  }

  /** In the call already, it reads what is written there, and counts what it gets of the other one from now on. */
  async begin(other: Guest): Promise<void> {
    await this.page.press(strings.controls.chat)
    await this.page.hasBadge(other.name, strings.badge.direct)
    await this.page.run(counting, other.name)
  }

  async seen(sinceMs: number): Promise<Times<What>> {
    return (await this.page.run('return counted.since(given)', sinceMs)) as Times<What>
  }

  /** Throws where the page shows the connection as something else than the browser says that it is. */
  async checkBadge(other: Guest, gateways: readonly string[]): Promise<void> {
    const { direct, relayed } = strings.badge
    await this.page.run(
      `const { name, gateways, words, ms } = given
      const word = async () => words[gateways.includes(await counted.farAddress()) ? 'relayed' : 'direct']
      await tools.until('the right badge', async () => tools.badge(name) === await word(), ms)`,
      { name: other.name, gateways, words: { direct, relayed }, ms: BADGE_MS }
    )
    await this.page.saysNot(strings.call.away)
  }

  /** Throws where the other one does not read what this one writes. */
  async checkChat(other: Guest): Promise<void> {
    const text = `${this.name} is still here`
    await this.page.writes(text)
    await other.page.says(text)
  }

  /** Throws where the page has complained of something. */
  async checkCalm(): Promise<void> {
    const [first] = await this.page.complaints()
    if (first !== undefined) throw new Error(`${this.name} complains: ${first}`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.page[Symbol.asyncDispose]()
  }
}
