// Large answers over TLS, piece by piece. Whether anything of an answer is read is seen by what Node still has to write of it
// (answers.ts). Over TLS that is no longer seen once all of it is encrypted: an answer that is written at once seems to lie there
// unread however steadily it is read. Seen with Node 24.21.

import { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type Koa from 'koa'

/** So much is written at once, in bytes; and read within a few seconds by whoever reads at all. */
const PIECE_BYTES = 65_536

export function* piecesOf(bytes: Buffer): Iterable<Buffer> {
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) yield bytes.subarray(start, start + PIECE_BYTES)
}

/** Call it before whatever answers. */
export const inPieces: Koa.Middleware = async (ctx, next) => {
  await next()
  const bytes = (ctx.req.socket as TLSSocket).encrypted ? bytesOf(ctx.body) : undefined
  if (!bytes || bytes.length <= PIECE_BYTES) return
  const { type } = ctx
  ctx.body = Readable.from(piecesOf(bytes))
  ctx.type = type
  ctx.length = bytes.length
}

/** Of what Koa would write at once; undefined for streams, and for nothing. */
function bytesOf(body: unknown): Buffer | undefined {
  if (typeof body === 'string') return Buffer.from(body)
  if (Buffer.isBuffer(body)) return body
  return isPlain(body) ? Buffer.from(JSON.stringify(body)) : undefined
}

const isPlain = (body: unknown): boolean =>
  Array.isArray(body) || Object.getPrototypeOf(body ?? '') === Object.prototype
