// Remembers which fingerprint a name had the last time. This is trust at first use: a gateway cannot put itself in the middle
// later on.
//
//   FOLDER/known-peers    a text file that people can edit, one line for each peer: GATEWAY NAME FINGERPRINT
//
// A line is only ever appended, in one write, and the first line about a name counts. So processes that meet the same peer at
// once agree on one fingerprint without a lock. To forget a peer, delete its line.
//
// A peer is trusted once its line is on disk. So half a line at the end, where a computer lost its power or its disk was full, is
// about nobody who was trusted, and is cut off. Any other damaged line may be.

import { join } from 'node:path'
import { PosternError } from '../../errors.ts'
import { appendToStateFile, cutStateFile, makeStateFolder, readStateFile, troubleOf } from '../../state-file.ts'
import { normaliseFingerprint } from '../../wire/identity/fingerprint.ts'
import { checkName, isSameName, type PeerName } from '../../wire/name.ts'
import { isPinned, otherFingerprint } from './trust.ts'

/** How a fingerprint was judged: it is the pinned one, the remembered one, or a new one that is remembered from now on. */
export type Trust = 'pinned' | 'known' | 'new'

interface KnownPeer {
  readonly gateway: string
  readonly name: string
  readonly fingerprint: string
  readonly line: number
}

// The file is read as a whole for each connection, and a gateway that invents names must not fill the disk. Nobody has more
// peers than these.
const MAX_PEERS = 10_000

/**
 * `NAME` or `NAME@FINGERPRINT`, the fingerprint in any case, with or without colons.
 * @throws PosternError bad-config
 */
export function parsePeer(text: string): PeerName {
  const at = text.indexOf('@')
  if (at < 0) return { name: checkName(text) }
  const pin = normaliseFingerprint(text.slice(at + 1))
  if (pin) return { name: checkName(text.slice(0, at)), pin }
  const expected = 'expected 64 hexadecimal digits after the @, with or without colons'
  throw new PosternError(
    'bad-config',
    `the pinned fingerprint of ${checkName(text.slice(0, at))} is malformed; ${expected}`
  )
}

export class KnownPeers {
  readonly file: string
  readonly #folder: string
  readonly #warn: (sentence: string) => void

  /**
   * @param folder the folder in which the identity is kept as well.
   * @param warn is told a sentence where half a line was cut off.
   */
  constructor(folder: string, warn: (sentence: string) => void = () => {}) {
    this.#folder = folder
    this.#warn = warn
    this.file = join(folder, 'known-peers')
  }

  /**
   * Judges the fingerprint that a peer has shown. If there is a pin, only the pin counts; otherwise the remembered
   * fingerprint does. If nothing is remembered, this one is from now on.
   * @param gateway its URL; only host and port count.
   * @throws PosternError fingerprint-mismatch, bad-config where the file is damaged, `io`.
   */
  async check(gateway: string, name: string, fingerprint: string, pin?: string): Promise<Trust> {
    const shown = normaliseFingerprint(fingerprint)
    if (!shown) throw new PosternError('bad-message', `${name} has shown a malformed fingerprint`)
    if (pin !== undefined) {
      isPinned(name, shown, pin)
      return 'pinned'
    }
    const host = hostOf(gateway)
    const known = await this.#find(host, checkName(name))
    if (known) return this.#checkKnown(known, name, shown)
    await this.#remember(host, name, shown)
    // Another process may have been quicker, with another fingerprint.
    const first = await this.#find(host, name)
    if (first) this.#checkKnown(first, name, shown)
    return 'new'
  }

  #checkKnown({ gateway, name, fingerprint, line }: KnownPeer, as: string, shown: string): Trust {
    if (fingerprint === shown) return 'known'
    const known = { name, fingerprint }
    const advice = `delete line ${line} of ${this.file}`
    throw otherFingerprint({ as, shown, gateway, known, advice, both: `, or add one for ${as} if both are right` })
  }

  /** Capitals make no difference, or a gateway could have somebody else trusted under another spelling. */
  async #find(gateway: string, name: string): Promise<KnownPeer | undefined> {
    const here = (await this.#read()).peers.filter(peer => peer.gateway === gateway && isSameName(peer.name, name))
    return here.find(peer => peer.name === name) ?? here[0]
  }

  async #read(): Promise<{ peers: KnownPeer[]; torn: string }> {
    const text = (await this.#use(() => readStateFile(this.file))) ?? ''
    const last = text.slice(text.lastIndexOf('\n') + 1)
    const torn = isBlank(last) || parsed(last) ? '' : last
    const whole = text.slice(0, text.length - torn.length)
    return { peers: whole.split('\n').flatMap((line, index) => this.#parse(line, index + 1)), torn }
  }

  // A damaged line is refused and not skipped. Skipping it would forget which peer it was about, and trust the next one that
  // comes.
  #parse(text: string, line: number): KnownPeer[] {
    if (isBlank(text)) return []
    const peer = parsed(text)
    if (peer) return [{ ...peer, line }]
    throw new PosternError(
      'bad-config',
      `${this.file}:${line}:1: expected "gateway name fingerprint"; mend or delete the line`
    )
  }

  async #remember(gateway: string, name: string, fingerprint: string): Promise<void> {
    const { peers, torn } = await this.#read()
    if (peers.length >= MAX_PEERS) {
      throw new PosternError(
        'io',
        `${this.file} remembers ${MAX_PEERS} peers and takes no more; delete lines you do not need`
      )
    }
    await this.#use(async () => {
      await makeStateFolder(this.#folder)
      if (torn !== '' && (await cutStateFile(this.file, torn)))
        this.#warn(`${this.file} ended in half a line, which was cut off; the peer that it was about counts as new`)
      // The line break goes first: an editor may have left the last line without one.
      await appendToStateFile(this.file, `\n${gateway} ${name} ${fingerprint}\n`)
    })
  }

  async #use<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      const why = `cannot be read or written: ${troubleOf(cause)}`
      throw new PosternError('io', `the known peers in ${this.file} ${why}`, { cause })
    }
  }
}

const isBlank = (line: string): boolean => /^\s*(#|$)/.test(line)

function parsed(line: string): Omit<KnownPeer, 'line'> | undefined {
  const [gateway, name, digits = '', ...more] = line.trim().split(/\s+/)
  const fingerprint = normaliseFingerprint(digits)
  return gateway && name && fingerprint && more.length === 0 ? { gateway, name, fingerprint } : undefined
}

// The same gateway may be written as ws, wss, http or https, with or without a path.
function hostOf(gateway: string): string {
  const host = URL.canParse(gateway) ? new URL(gateway).host : ''
  return host || gateway.trim().replaceAll(/\s+/g, '')
}
