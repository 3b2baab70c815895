// Remembers which fingerprint a name had the last time. This is trust at first use: a gateway cannot put itself in the middle
// later on.
//
//   FOLDER/known-peers    a text file that people can edit, one line for each peer: GATEWAY NAME FINGERPRINT
//
// A line is only ever appended, in one write, and the first line about a name counts. So processes that meet the same peer at
// once agree on one fingerprint without a lock. To forget a peer, delete its line.

import { appendFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PosternError } from '../../errors.ts'
import { normaliseFingerprint } from '../../wire/certificate.ts'
import { checkName } from '../../wire/name.ts'

/** How a fingerprint was judged: it is the pinned one, the remembered one, or a new one that is remembered from now on. */
export type Trust = 'pinned' | 'known' | 'new'

export interface PeerName {
  readonly name: string
  /** `AA:BB:…` */
  readonly pin?: string
}

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

  /** @param folder the folder in which the identity is kept as well. */
  constructor(folder: string) {
    this.#folder = folder
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
    if (pin !== undefined) return this.#checkPin(name, shown, pin)
    const host = hostOf(gateway)
    const known = await this.#find(host, checkName(name))
    if (known) return this.#checkKnown(known, shown)
    await this.#remember(host, name, shown)
    // Another process may have been quicker, with another fingerprint.
    const first = await this.#find(host, name)
    if (first) this.#checkKnown(first, shown)
    return 'new'
  }

  #checkPin(name: string, shown: string, pin: string): Trust {
    if (normaliseFingerprint(pin) === shown) return 'pinned'
    const advice = 'pin the new one only if its owner tells you that it changed'
    throw new PosternError(
      'fingerprint-mismatch',
      `${name} has the fingerprint ${shown} but ${pin} is pinned; ${advice}`
    )
  }

  #checkKnown({ gateway, name, fingerprint, line }: KnownPeer, shown: string): Trust {
    if (fingerprint === shown) return 'known'
    const seen = `${name} at ${gateway} has the fingerprint ${shown} but had ${fingerprint} before`
    const advice = `somebody may stand in between; if its owner tells you that it changed, delete line ${line} of ${this.file}`
    throw new PosternError('fingerprint-mismatch', `${seen}; ${advice}`)
  }

  async #find(gateway: string, name: string): Promise<KnownPeer | undefined> {
    return (await this.#read()).find(peer => peer.gateway === gateway && peer.name === name)
  }

  async #read(): Promise<KnownPeer[]> {
    const text = await readFile(this.file, 'utf8').catch(error => {
      if (error.code === 'ENOENT') return ''
      throw this.#unusable(error)
    })
    return text.split('\n').flatMap((line, index) => this.#parse(line, index + 1))
  }

  // A damaged line is refused and not skipped. Skipping it would forget which peer it was about, and trust the next one that
  // comes.
  #parse(text: string, line: number): KnownPeer[] {
    if (/^\s*(#|$)/.test(text)) return []
    const [gateway, name, digits = '', ...more] = text.trim().split(/\s+/)
    const fingerprint = normaliseFingerprint(digits)
    if (gateway && name && fingerprint && more.length === 0) return [{ gateway, name, fingerprint, line }]
    throw new PosternError(
      'bad-config',
      `${this.file}:${line}:1: expected "gateway name fingerprint"; mend or delete the line`
    )
  }

  async #remember(gateway: string, name: string, fingerprint: string): Promise<void> {
    if ((await this.#read()).length >= MAX_PEERS) {
      throw new PosternError(
        'io',
        `${this.file} remembers ${MAX_PEERS} peers and takes no more; delete lines you do not need`
      )
    }
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      // The line break goes first: an editor may have left the last line without one.
      await appendFile(this.file, `\n${gateway} ${name} ${fingerprint}\n`, { mode: 0o600 })
    } catch (cause) {
      throw this.#unusable(cause)
    }
  }

  #unusable(cause: unknown): PosternError {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return new PosternError('io', `the known peers in ${this.file} cannot be read or written: ${reason}`, { cause })
  }
}

// The same gateway may be written as ws, wss, http or https, with or without a path.
function hostOf(gateway: string): string {
  const host = URL.canParse(gateway) ? new URL(gateway).host : ''
  return host || gateway.trim().replaceAll(/\s+/g, '')
}
