// A file for browsers that `npm run build` makes: read and compressed when it is asked for the first time. In a clone it may not be there.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'
import type { Context } from 'koa'

/** The same from the source and from what is built of it. */
const folder = new URL('../../../../dist/', import.meta.url)

/** The smallest first. Browsers take Brotli (RFC 7932) by https alone. */
const encodings = ['br', 'gzip', 'identity'] as const

export interface Whole {
  readonly bodies: Readonly<Record<(typeof encodings)[number], Buffer>>
  /** 16 digits of its SHA-256. */
  readonly hash: string
}

export class Built {
  readonly #file: string
  #whole: Promise<Whole | undefined> | undefined

  /** @param file its name in `dist`, or its path */
  constructor(file: string) {
    this.#file = fileURLToPath(new URL(file, folder))
  }

  /** Undefined where it is not built; asked again, it looks again. */
  async whole(): Promise<Whole | undefined> {
    this.#whole ??= read(this.#file)
    const found = await this.#whole
    if (!found) this.#whole = undefined
    return found
  }
}

async function read(file: string): Promise<Whole | undefined> {
  const text = await readFile(file).catch(() => undefined)
  if (!text) return undefined
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16)
  const [br, zipped] = await Promise.all([promisify(brotliCompress)(text), promisify(gzip)(text, { level: 9 })])
  return { bodies: { br, gzip: zipped, identity: text }, hash }
}

/** Answers with it, in the smallest form that the browser takes. */
export function answerWith(ctx: Context, { bodies }: Whole, type: 'text/javascript' | 'text/css'): void {
  ctx.set({ 'content-type': `${type}; charset=utf-8`, vary: 'accept-encoding' })
  const encoding = encodings.find(one => ctx.acceptsEncodings(one)) ?? 'identity'
  if (encoding !== 'identity') ctx.set('content-encoding', encoding)
  ctx.body = bodies[encoding]
}

/** Whether what browsers need is there. */
export const isBuilt = (): boolean => existsSync(fileURLToPath(new URL('call.js', folder)))

export const notBuilt = 'this gateway runs from its source, and what browsers need is not built: npm run build makes it'
