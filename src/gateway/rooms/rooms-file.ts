// The rooms on disk: one JSON object, written anew whenever a room is made or closed, and a moment after guests came or went. It has no
// secret in it. Changes that come while one is being written are written together after it.

import { join } from 'node:path'
import type { Logger } from 'pino'
import { z } from 'zod'
import { idly, type Timer } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { makeStateFolder, readStateFile, replaceStateFile, troubleOf } from '../../state-file.ts'
import { entryKey } from '../../wire/room/messages.ts'
import { epochMs, fingerprint, name } from '../../wire/shapes.ts'
import { GONE } from './room.ts'

/** How long guests may come and go before that is written, in milliseconds. */
const SOON_MS = 1000

const kept = z.strictObject({
  name,
  entry: entryKey,
  maker: z.strictObject({ network: z.string().max(64), certificate: z.string().max(128) }),
  expiresMs: epochMs,
  /** Fingerprints of those that come back after a restart. */
  back: z.array(fingerprint).max(GONE).default([])
})

export type KeptRoom = z.infer<typeof kept>

export class RoomsFile {
  readonly #path: string
  readonly #rooms: () => readonly KeptRoom[]
  #writing: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  #soon: Timer | undefined
  #written = ''

  /** @param rooms what there is to be written */
  private constructor(path: string, rooms: () => readonly KeptRoom[]) {
    this.#path = path
    this.#rooms = rooms
  }

  /**
   * Reads the rooms, and says in the log what of them is lost, if anything. Throws `bad-config` where the folder cannot be read or
   * written.
   */
  static async open(
    folder: string,
    rooms: () => readonly KeptRoom[],
    log: Pick<Logger, 'warn'>
  ): Promise<{ file: RoomsFile; before: readonly KeptRoom[] }> {
    const path = join(folder, 'rooms.json')
    try {
      await makeStateFolder(folder)
      const text = await readStateFile(path)
      const { whole, damaged } = text === undefined ? { whole: [], damaged: 0 } : roomsOf(text)
      if (text !== undefined && damaged > 0) {
        await replaceStateFile(`${path}.damaged`, text)
        const lost = 'links of the rest are good no more, and have to be made again'
        log.warn(
          `${path} was damaged: ${whole.length} rooms in it are whole, and ${lost}; what it was is in ${path}.damaged`
        )
      }
      return { file: new RoomsFile(path, rooms), before: whole }
    } catch (cause) {
      throw new PosternError('bad-config', `state: ${folder} cannot be used: ${troubleOf(cause)}`, { cause })
    }
  }

  /** Resolves when what there is now is on disk. Rejects with the error of the system. */
  write(): Promise<void> {
    this.#next ??= this.#writing.then(() => this.#write())
    return this.#next
  }

  /** What there is a moment later is written then. Nobody waits for it. */
  soon(): void {
    this.#soon ??= idly(setTimeout(() => void this.write().catch(() => {}), SOON_MS))
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    clearTimeout(this.#soon)
    await (this.#next ?? this.#writing).catch(() => {})
  }

  async #write(): Promise<void> {
    this.#next = undefined
    clearTimeout(this.#soon)
    this.#soon = undefined
    const text = `${JSON.stringify({ rooms: this.#rooms() }, undefined, 1)}\n`
    if (text === this.#written) return
    const written = replaceStateFile(this.#path, text)
    this.#writing = written.catch(() => {})
    await written
    this.#written = text
  }
}

function roomsOf(text: string): { whole: KeptRoom[]; damaged: number } {
  const { rooms } = Object(parsed(text)) as { rooms?: unknown }
  if (!Array.isArray(rooms)) return { whole: [], damaged: 1 }
  const whole = rooms.flatMap(room => kept.safeParse(room).data ?? [])
  return { whole, damaged: rooms.length - whole.length }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
