// Reads as much from the beginning of a connection as it takes to know what it is, in however many segments it comes.

import type { Socket } from 'node:net'
import { PosternError } from '../../errors.ts'

/** Why a connection is closed before anything of it is served. */
export class Unwelcome extends PosternError {
  readonly why: 'missing' | 'foreign' | 'malformed' | 'late'

  constructor(why: Unwelcome['why'], message: string) {
    super('bad-message', message)
    this.why = why
  }
}

/** What the bytes mean, and how many of them say so; what comes behind is left to be read. */
export interface Gathered<T> {
  readonly found: T
  readonly length: number
}

/**
 * @param patienceMs how long it may take
 * @param look says what the bytes until now mean; undefined: more have to come
 * @throws whatever `look` throws, Unwelcome when the time is over, or an error when the connection is over first
 */
export async function gather<T>(
  socket: Socket,
  patienceMs: number,
  look: (bytes: Buffer) => Gathered<T> | undefined
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  let bytes: Buffer = Buffer.alloc(0)
  const read = () => {
    const more: Buffer | null = socket.read()
    if (more === null) return reject(new Error('the connection is over'))
    bytes = Buffer.concat([bytes, more])
    try {
      const gathered = look(bytes)
      if (!gathered) return void socket.once('readable', read)
      const rest = bytes.subarray(gathered.length)
      if (rest.length > 0) socket.unshift(rest)
      resolve(gathered.found)
    } catch (thrown) {
      reject(thrown)
    }
  }
  const late = setTimeout(() => reject(new Unwelcome('late', 'the header of a connection did not end')), patienceMs)
  const over = () => reject(new Error('the connection is over'))
  for (const event of ['error', 'close']) socket.on(event, over)
  read()
  try {
    return await promise
  } finally {
    clearTimeout(late)
    for (const event of ['error', 'close']) socket.off(event, over)
    socket.off('readable', read)
  }
}
