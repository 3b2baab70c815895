// Part files: what has come of a transfer. A file grows in the receive folder under a hidden name, `.NAME.SENDER.HASH.part`.
// HASH names the transfer: sender, name, size and modification time. So a transfer that was cut goes on from its part when the
// sender comes back, and nobody else is told of it.
//
// Parts of cut transfers are a loan. They go after a day, when there are too many of them, and when a file that is about to
// come needs their room. The oldest go first.

import { createHash } from 'node:crypto'
import { lstat, readdir, statfs, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PosternError } from '../../errors.ts'
import { formatBytes } from '../../units.ts'
import type { Stream } from '../connection/streams/stream.ts'

/** How long a part is kept after the last byte, in milliseconds. */
const KEPT_MS = 86_400_000

/** The most parts that are kept of one sender, and in all: keys are free, so a sender may have many. */
const MOST = { ofSender: 8, inAll: 64 } as const

const partName = /^\..*\.[0-9a-f]{16}\.part$/su
/** Parts of a former release do not name their sender. */
const senderIn = /\.([0-9a-f]{16})\.[0-9a-f]{16}\.part$/

export const isPartName = (name: string): boolean => partName.test(name)

/** What a transfer is known by. */
export interface Offered {
  readonly name: string
  readonly size: number
  readonly mtimeMs: number
}

/** The parts that are being written, by their paths, and those that are being removed. */
const underWay = new Map<string, Part>()
const removing = new Map<string, Promise<void>>()

const holderOf = (path: string): Part | Promise<void> | undefined => underWay.get(path) ?? removing.get(path)

/** A part file while its transfer is under way. Nobody else writes to it, or takes it away. */
export class Part {
  readonly path: string
  readonly #stream: Stream
  readonly #released = Promise.withResolvers<void>()
  /** Bytes that are still to come, for which there is room. */
  #dueBytes = 0

  private constructor(path: string, stream: Stream) {
    this.path = path
    this.#stream = stream
  }

  /** A sender that comes back takes its transfer over from its own lost connection, which may not have been noticed yet. */
  static async take(folder: string, offered: Offered, from: string, stream: Stream): Promise<Part> {
    const path = join(folder, partNameOf(offered, from))
    // Others may wait for the same one, so each looks again when its turn comes.
    for (let before = holderOf(path); before; before = holderOf(path))
      await (before instanceof Part ? before.#giveUp() : before)
    const part = new Part(path, stream)
    underWay.set(path, part)
    return part
  }

  release(): void {
    underWay.delete(this.path)
    this.#released.resolve()
  }

  #giveUp(): Promise<void> {
    this.#stream.destroy(new PosternError('io', 'the sender began this transfer anew'))
    return this.#released.promise
  }

  /**
   * Makes sure that so many bytes fit on the disk beside what is still to come of other transfers. Parts of cut transfers go for
   * it, if that helps. Throws `io`.
   */
  async reserve(bytes: number, { name }: Offered): Promise<void> {
    if (bytes === 0 || (await this.#fits(bytes))) return
    const idle = await idleParts(dirname(this.path))
    const gained = idle.reduce((sum, part) => sum + part.bytes, 0)
    const freeBytes = (await freeBytesIn(dirname(this.path))) - this.#dueToOthers()
    if (bytes <= freeBytes + gained)
      for (const { path } of idle) {
        await remove(path)
        if (await this.#fits(bytes)) return
      }
    const free = formatBytes(Math.max(0, freeBytes))
    throw new PosternError('io', `no space left for "${name}": it takes ${formatBytes(bytes)}, and ${free} are free`)
  }

  /** Some of what was reserved has come. */
  arrived(bytes: number): void {
    this.#dueBytes = Math.max(0, this.#dueBytes - bytes)
  }

  /** Between the sum and the reservation nobody else has a turn. */
  async #fits(bytes: number): Promise<boolean> {
    const freeBytes = await freeBytesIn(dirname(this.path))
    if (bytes > freeBytes - this.#dueToOthers()) return false
    this.#dueBytes = bytes
    return true
  }

  /** Bytes that have room in this folder, and are still to come of other transfers. */
  #dueToOthers(): number {
    const others = [...underWay.values()].filter(other => other !== this)
    const here = others.filter(({ path }) => dirname(path) === dirname(this.path))
    return here.reduce((sum, other) => sum + other.#dueBytes, 0)
  }
}

/** Takes away the parts of cut transfers that are too old or too many. Never throws. */
export async function tidyParts(folder: string, nowMs = Date.now()): Promise<void> {
  const ofSender = new Map<string, number>()
  const newestFirst = (await idleParts(folder)).toReversed()
  for (const [before, { path, sender, mtimeMs }] of newestFirst.entries()) {
    const same = ofSender.get(sender) ?? 0
    ofSender.set(sender, same + 1)
    const isSurplus = same >= MOST.ofSender || before >= MOST.inAll
    if (isSurplus || nowMs - mtimeMs > KEPT_MS) await remove(path)
  }
}

interface Idle {
  readonly path: string
  readonly sender: string
  readonly bytes: number
  readonly mtimeMs: number
}

/** Parts of the folder that nobody in this process writes to, the oldest first. */
async function idleParts(folder: string): Promise<Idle[]> {
  const names = await readdir(folder).catch(() => [])
  const paths = names.filter(isPartName).map(name => join(folder, name))
  const parts = await Promise.all(paths.filter(path => !underWay.has(path)).map(idleAt))
  return parts.filter(part => part !== undefined).toSorted((a, b) => a.mtimeMs - b.mtimeMs)
}

async function idleAt(path: string): Promise<Idle | undefined> {
  const there = await lstat(path).catch(() => undefined)
  if (!there?.isFile()) return undefined
  return { path, sender: senderIn.exec(path)?.[1] ?? '', bytes: there.size, mtimeMs: there.mtimeMs }
}

/** Removes a part, unless a transfer has it again. A transfer that wants it meanwhile waits. Never throws. */
async function remove(path: string): Promise<void> {
  if (underWay.has(path)) return
  const gone = removing.get(path) ?? unlink(path).catch(() => {})
  removing.set(path, gone)
  await gone
  removing.delete(path)
}

/** What this user may still write, in bytes; infinite where the file system does not tell. */
async function freeBytesIn(folder: string): Promise<number> {
  const { blocks, bavail, bsize } = await statfs(folder).catch(() => ({ blocks: 0, bavail: 0, bsize: 0 }))
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize
}

function partNameOf({ name, size, mtimeMs }: Offered, from: string): string {
  const transfer = JSON.stringify([from, name, size, mtimeMs])
  return `.${name.slice(0, 40).toWellFormed()}.${short(from)}.${short(transfer)}.part`
}

const short = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)
