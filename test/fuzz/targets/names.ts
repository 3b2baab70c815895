// Names of files that somebody sends: one that is taken stays in the folder under that very name, shows as what it is, and means
// nothing else to any system that a folder is shared with. Now and then a whole transfer is received, to see where it ends up.

import { deepEqual, equal, ok } from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, win32 } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import { PosternError } from '../../../src/errors.ts'
import type { Stream } from '../../../src/peer/connection/streams/stream.ts'
import { checkFileName } from '../../../src/peer/services/file-name.ts'
import { Reader, writeLine } from '../../../src/peer/services/lines.ts'
import { receive } from '../../../src/peer/services/receive.ts'
import { mutatedText } from '../mutate.ts'
import type { Odd } from '../odd.ts'
import type { Random } from '../random.ts'
import { isPrintable, type Subject, type Target } from '../target.ts'

/** These must be taken as they are. */
const good = ['holiday.mp4', 'grüße 👋.txt', 'a', '日本語.tar.gz', 'a-b_c (1).txt', 'x'.repeat(255)]

const specimens = [
  ...good,
  ...['.hidden', '-rf', 'CON', 'nul.txt', 'COM1', 'LPT¹.log', 'a:b', 'a.', 'a ', ' a', 'a\u202etxt.exe', 'a\u00adb'],
  ...['../x', 'a/b', 'a\\b', '.x.0123456789abcdef.part', '~', '~root', 'a\u200db', 'desktop.ini', '$HOME', '\ufeffa']
]

const device = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\.|$)/i

/** What must hold for a name that is taken. */
function judge(name: string): void {
  const folder = '/in'
  equal(dirname(join(folder, name)), folder, 'it leaves the folder')
  equal(basename(join(folder, name)), name, 'it ends up under another name')
  equal(win32.basename(win32.join('C:\\in', name)), name, 'it ends up under another name on Windows')
  ok(Buffer.byteLength(name) <= 255 && name.isWellFormed(), 'no file can have it')
  ok(isPrintable(name), 'it does not show as what it is')
  ok(!name.startsWith('.'), 'it is hidden')
  ok(!name.startsWith('-'), 'it reads like an option')
  ok(!/[. ]$/.test(name), 'Windows takes its end away')
  ok(!name.includes(':'), 'on Windows it is a stream of another file')
  ok(!device.test(name), 'on Windows it is a device')
}

interface Named {
  readonly name: string
  readonly whole: boolean
}

class Folder implements Subject<Named> {
  readonly #folder: string
  readonly #odd: Odd

  constructor(folder: string, odd: Odd) {
    this.#folder = folder
    this.#odd = odd
  }

  input(random: Random): Named {
    const specimen = random.pick(specimens) ?? ''
    const name = random.chance(0.8) ? mutatedText(random, specimen, this.#odd) : this.#odd.text(random)
    return { name: random.chance(0.05) ? specimen : name, whole: random.chance(0.01) }
  }

  check({ name, whole }: Named): void | Promise<void> {
    const safe = isTaken(name)
    if (good.includes(name)) ok(safe, 'it is refused, and is a good one')
    if (safe) judge(name)
    if (whole) return this.#receive(name, safe)
  }

  async #receive(name: string, safe: boolean): Promise<void> {
    const folder = await mkdtemp(join(this.#folder, 'in-'))
    const [near, far] = duplexPair()
    const received = receive(near as Duplex as Stream, { folder, from: 'alice' }).catch((error: unknown) => error)
    far.on('error', () => {})
    await say(far, name)
    const ended = await received
    if (!safe) ok(ended instanceof PosternError && isPrintable(ended.message), 'it was refused without a reason')
    else if (Buffer.byteLength(name) < 200) equal(ended instanceof Error, false, String(ended))
    if (!(ended instanceof Error)) deepEqual(await readdir(folder), [name])
    deepEqual(await readdir(this.#folder), [basename(folder)], 'something is beside the folder')
    await rm(folder, { recursive: true })
  }

  async close(): Promise<void> {
    await rm(dirname(this.#folder), { recursive: true })
  }
}

/** Whoever is refused is told why, in one line. */
function isTaken(name: string): boolean {
  try {
    return checkFileName(name, {}) === name
  } catch (error) {
    ok(error instanceof PosternError && isPrintable(error.message), 'it was refused without a reason')
    return false
  }
}

/** Sends an empty file, as send.ts would. */
async function say(far: Duplex, name: string): Promise<void> {
  const reader = new Reader(far)
  const sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
  try {
    await writeLine(far, { type: 'file', name, size: 0, mtimeMs: 0, mode: 0o644 })
    await reader.line()
    await writeLine(far, { type: 'from', offset: 0, same: true })
    await writeLine(far, { type: 'sum', sha256 })
    await reader.line()
    far.end()
  } catch {
    // It was refused, and the stream is over.
  }
}

export const names: Target = {
  name: 'names',
  about: 'names of received files: they stay in the folder, show as what they are, and mean nothing else anywhere',
  async open(odd) {
    const folder = join(await mkdtemp(join(tmpdir(), 'postern-fuzz-')), 'deep')
    await mkdir(folder)
    return new Folder(folder, odd)
  }
}
