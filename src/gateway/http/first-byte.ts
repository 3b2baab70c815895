// Who speaks on a TCP connection, by its first byte: HTTP begins with a letter, TLS with the type of its first record (22, RFC 8446
// section 5.1), a frame (wire/doors/framing.ts) with the upper half of its length, which is small.

import type { Socket } from 'node:net'

/** How long a connection may say nothing, in milliseconds, and how long a handshake of TLS may take after that. */
export const SILENT_MS = 10_000

/** Calls `speaks` with the first byte, which is still to be read; not at all where none comes. */
export function byFirstByte(socket: Socket, speaks: (byte: number) => void): void {
  const silent = setTimeout(() => socket.destroy(), SILENT_MS)
  const broken = () => socket.destroy()
  const closed = () => clearTimeout(silent)
  socket.on('error', broken)
  socket.on('close', closed)
  socket.once('readable', () => {
    clearTimeout(silent)
    socket.off('close', closed)
    const bytes: Buffer | null = socket.read()
    // It has ended.
    if (bytes === null) return void socket.destroy()
    socket.unshift(bytes)
    speaks(bytes[0] ?? 0)
    socket.off('error', broken)
  })
}
