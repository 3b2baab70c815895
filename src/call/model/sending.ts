// What one connection sends of sound and picture: always what the devices give now. Another camera, or a screen, takes the place of the
// one before on the same track, so that nothing is agreed anew and no frame is missed.

import { effect } from '@preact/signals'
import type { Connection } from '../../browser/connection.ts'
import type { Budget } from '../sending/policy.ts'
import { Sender } from '../sending/sender.ts'
import type { Devices } from './devices.ts'

/**
 * Follows the devices until the connection is over.
 * @param changed is told what may be sent at most, whenever that is something else
 */
export function follow(connection: Connection, devices: Devices, changed: (budget: Budget) => void): void {
  const sender = new Sender(connection, { changed })
  // Steps of a kind are taken one after the other: a track may change while it is being agreed on. Sound and picture do not wait for each
  // other, so that both are agreed on within one round trip.
  const steps = { audio: Promise.resolve(), video: Promise.resolve() }
  const step = (kind: keyof typeof steps, track: MediaStreamTrack | undefined) => {
    const isScreen = track !== undefined && track === devices.screen.peek()
    steps[kind] = steps[kind]
      .then(() => (track ? sender.send(track, isScreen ? 'screen' : 'camera') : sender.pause(kind)))
      .catch(() => {})
  }
  const ends = [
    effect(() => step('audio', devices.microphone.value)),
    effect(() => step('video', devices.picture.value))
  ]
  connection.closed.addEventListener(
    'abort',
    () => {
      for (const end of ends) end()
    },
    { once: true }
  )
  changed(sender.budget)
}
