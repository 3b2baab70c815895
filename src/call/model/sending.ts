// What one connection sends of sound and picture: always what the devices give now. Another camera, or a screen, takes the place of the
// one before on the same track, so that nothing is agreed anew and no frame is missed.

import { effect, type ReadonlySignal } from '@preact/signals'
import type { Connection } from '../../browser/connection.ts'
import type { OutgoingTrack } from '../../browser/tracks.ts'

export class Sending {
  readonly #connection: Connection
  readonly #followed: readonly (() => void)[]

  constructor(connection: Connection, tracks: readonly ReadonlySignal<MediaStreamTrack | undefined>[]) {
    this.#connection = connection
    this.#followed = tracks.map(track => this.#follow(track))
    connection.closed.addEventListener('abort', () => this.stop(), { once: true })
  }

  stop(): void {
    for (const end of this.#followed) end()
  }

  /** Steps are taken one after the other: a track may change while it is being agreed on. */
  #follow(track: ReadonlySignal<MediaStreamTrack | undefined>): () => void {
    let own: OutgoingTrack | undefined
    let steps: Promise<unknown> = Promise.resolve()
    const step = async () => {
      const now = track.peek()
      if (own?.track === now || this.#connection.closed.aborted) return
      if (own && now) return own.replace(now)
      own?.end()
      own = undefined
      if (now) own = await this.#connection.addTrack(now)
    }
    return effect(() => {
      void track.value
      steps = steps.then(step).catch(() => {})
    })
  }
}
