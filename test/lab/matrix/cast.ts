// Who is on stage: a browser takes seconds to start and hundreds of megabytes, so few are open at a time, and each as long as pairs
// that follow soon have it.

import { coreTypes } from '../nat.ts'
import type { IceGround } from '../plain-ice/ground.ts'
import type { Rig } from '../rig.ts'
import { type Actor, openActor } from './actors.ts'
import type { Kind, Pair } from './pairs.ts'

/** Chromium takes 440 MB, Firefox 210; four are what a row of the table, or three of them, ask for. */
const BROWSERS = 4

interface Role {
  readonly kind: Kind
  readonly site: number
}

/** The site of each of a pair: the second half of the sites are the same types again, so that a type can meet itself. */
const rolesOf = ({ kinds, nats }: Pair): [Role, Role] => [
  { kind: kinds[0], site: coreTypes.indexOf(nats[0]) },
  { kind: kinds[1], site: coreTypes.length + coreTypes.indexOf(nats[1]) }
]

const keyOf = ({ kind, site }: Role) => `${kind} ${site}`

export class Cast implements AsyncDisposable {
  readonly #rig: Rig
  readonly #ground: IceGround
  readonly #open = new Map<string, Actor>()
  #part: Pair['part'] | undefined

  constructor(rig: Rig, ground: IceGround) {
    this.#rig = rig
    this.#ground = ground
  }

  /**
   * Both of a pair. In another part of the matrix everybody is another one, since nobody else shall be behind the NATs of a pair.
   *
   * @param later the pairs that follow
   */
  async of(pair: Pair, later: readonly Pair[]): Promise<[Actor, Actor]> {
    if (this.#part !== pair.part) await this.dismiss()
    this.#part = pair.part
    const roles = rolesOf(pair)
    const keys = roles.map(keyOf)
    for (const role of roles) {
      if (this.#open.has(keyOf(role))) continue
      if (role.kind !== 'node') await this.#makeRoom(keys, later)
      this.#open.set(keyOf(role), await openActor(this.#rig, role.site, role.kind, this.#ground))
    }
    return keys.map(key => this.#open.get(key)) as [Actor, Actor]
  }

  /** Everybody goes, or both of a pair. */
  async dismiss(pair?: Pair): Promise<void> {
    const keys = pair ? rolesOf(pair).map(keyOf) : [...this.#open.keys()]
    await Promise.all(keys.map(key => this.#close(key)))
  }

  /** Of the browsers that stay on, the one that is wanted again the latest makes room. */
  async #makeRoom(staying: readonly string[], later: readonly Pair[]): Promise<void> {
    const browsers = [...this.#open].filter(([, { isPage }]) => isPage).map(([key]) => key)
    if (browsers.length < BROWSERS) return
    const wantedAt = (key: string) => {
      const at = later.findIndex(pair => rolesOf(pair).map(keyOf).includes(key))
      return at < 0 ? later.length : at
    }
    const [last] = browsers.filter(key => !staying.includes(key)).sort((one, other) => wantedAt(other) - wantedAt(one))
    if (last) await this.#close(last)
  }

  async #close(key: string): Promise<void> {
    const actor = this.#open.get(key)
    this.#open.delete(key)
    await actor?.[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dismiss()
  }
}
