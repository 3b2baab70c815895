// One question to the router by datagram, and its answer. The question is sent again after 250 and after 750 ms, and given up
// after two seconds. Only the router's own address is heard.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { timeoutSignal } from '../../clock.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { PATIENCE_MS } from './asking.ts'

/** Milliseconds after the first transmission at which it is repeated. */
const REPEAT_MS = [250, 750] as const

export interface Question<T> {
  readonly to: Endpoint
  /** Answers from other ports of that address count as well. */
  readonly anyPort?: boolean
  /** The datagram to send, if this host has that address towards the router. */
  readonly datagram: (ownAddress: string) => Buffer
  /** Undefined if the datagram is no answer to this question. */
  readonly read: (datagram: Buffer) => T | undefined
  /** With 0 it is sent once, and no answer is waited for. */
  readonly patienceMs?: number
}

/**
 * `nonsense`: datagrams came, but no answer. `silent`: nothing came, or the router said that nobody listens there, or there is no
 * way to it, or `signal` aborted.
 */
export async function exchange<T>(question: Question<T>, signal: AbortSignal): Promise<T | 'silent' | 'nonsense'> {
  const { to, anyPort = false, datagram, patienceMs = PATIENCE_MS } = question
  const socket = createSocket('udp4')
  using late = timeoutSignal(patienceMs)
  const failed = new AbortController()
  socket.on('error', () => failed.abort())
  try {
    const send = await open(socket, to, anyPort)
    const bytes = datagram(socket.address().address)
    await send(bytes)
    if (patienceMs === 0) return 'silent'
    using _again = repeating(() => send(bytes))
    return await answerTo(question, socket, AbortSignal.any([signal, late, failed.signal]))
  } catch {
    return 'silent'
  } finally {
    socket.close()
  }
}

/** A connected socket hears nobody else, and is told by ICMP that nobody listens. It also knows this host's address. */
async function open(socket: Socket, to: Endpoint, anyPort: boolean): Promise<(bytes: Buffer) => Promise<void>> {
  const opened = once(socket, anyPort ? 'listening' : 'connect')
  if (anyPort) socket.bind()
  else socket.connect(to.port, to.address)
  await opened
  // An error in sending is a loss, because a datagram may get lost anyway.
  return bytes =>
    new Promise(resolve => {
      if (anyPort) socket.send(bytes, to.port, to.address, () => resolve())
      else socket.send(bytes, () => resolve())
    })
}

function repeating(send: () => Promise<void>): Disposable {
  const timers = REPEAT_MS.map(afterMs => setTimeout(send, afterMs))
  return { [Symbol.dispose]: () => timers.forEach(clearTimeout) }
}

async function answerTo<T>({ to, read }: Question<T>, socket: Socket, over: AbortSignal) {
  const { promise, resolve } = Promise.withResolvers<T | 'silent' | 'nonsense'>()
  let heard = false
  const end = () => resolve(heard ? 'nonsense' : 'silent')
  over.addEventListener('abort', end)
  if (over.aborted) end()
  socket.on('message', (datagram, source) => {
    if (source.address !== to.address) return
    heard = true
    const answer = read(datagram)
    if (answer !== undefined) resolve(answer)
  })
  return await promise.finally(() => over.removeEventListener('abort', end))
}
