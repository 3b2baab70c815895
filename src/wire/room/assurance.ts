// By what two guests of a room know that nobody stands between them. The gateway has told each of them which DTLS certificate the other
// one has, and may have lied. So each says by a key that comes of the room's link which certificates it sees on this path: the one that it
// has itself, and the one that it was told of. Whoever stands between has shown each of them a certificate of its own.
//
//   caller                                     callee
//     | --- commitment . MAC -----------------> |    SHA-256 of a nonce that is not told yet
//     | <-- nonce . MAC ----------------------- |
//     | --- nonce ----------------------------> |    is it the one of the commitment?
//     |    either may say `no` instead          |
//
// A MAC is over who says it, the session, both certificates, and what goes with it (the callee's over the commitment, too): so it is of no
// use to the one who said it, on another path, or with another nonce. Only who has the link can make one.
//
// Whoever has the link, another guest with the gateway's help, can make them all, and stand between. Against that there are words, to be
// read aloud: 20 bits of a hash over both certificates and both nonces, as RFC 6189 has them (sections 4.4.1.1 and 4.5.2). The words of
// both sides agree if one hash was made. Whoever stands between has two paths, with two hashes, of which each holds a nonce of an honest
// side, 32 random bytes. It cannot choose its own to fit:
//
// - As the callee it names its nonce before it is told the caller's, of which it knows nothing but SHA-256.
// - As the caller it is bound by its commitment before it is told the callee's: another nonce with that SHA-256 is not found.
//
// So when the later of the two hashes is decided, by a nonce of an honest side that nobody could know, the other one stands and nothing
// else can be changed. They agree by chance alone: once in 2^20 connections. Each try is a connection that both sides see, and that comes
// to nothing, or has other words, if it fails. Certificates can be made in any number, but those of a path are there before its nonces.

import { fromBase64Url, toBase64Url } from '../../bytes.ts'
import { sleep } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { roughly } from '../../units.ts'
import type { Certificates } from '../identity/fingerprint.ts'
import { otherSide, type SideName } from '../side.ts'
import { type Word, wordsOf } from './words.ts'

/** A path between two guests, as one of them sees it. */
export interface Between {
  /** This side's part in the connect request. */
  readonly role: SideName
  /** The gateway's id of the session that made the path. */
  readonly session: string
  readonly certificates: Certificates
  /** The far side, for sentences. */
  readonly peer: { readonly name: string }
  /** Says something to the far side, in at most 256 characters. */
  readonly say: (said: string) => void
  /** The connection is over. */
  readonly closed: AbortSignal
}

export interface Assurance {
  /** Takes what the far side has said. False where it has nothing more to say. */
  hears(said: string): boolean
  /**
   * Resolves with the words when the far side has proved that it sees the same certificates. Rejects with `fingerprint-mismatch` where it
   * has not, `timeout` where it says nothing, or why the connection ended.
   */
  readonly words: Promise<readonly Word[]>
}

/** Three messages pass within a round trip and a half; whoever is lost or mute is not waited for longer, in milliseconds. */
export const ASSURED_MS = 10_000

/** Of a nonce, of SHA-256, and of a MAC. */
const BYTES = 32

const NO = 'no'

/** HMAC with SHA-256 (RFC 2104); the key by HKDF (RFC 5869). */
const MAC = { name: 'HMAC', hash: 'SHA-256', length: 256 } as const

/**
 * @param members what all guests of the room have, and the gateway has not (keys.ts)
 * @param withinMs for how long the far side is waited for, in milliseconds
 */
export function assurance(members: Uint8Array<ArrayBuffer>, between: Between, withinMs = ASSURED_MS): Assurance {
  const isCaller = between.role === 'caller'
  const awaited = Array.from({ length: isCaller ? 1 : 2 }, () => Promise.withResolvers<string>())
  const hear = async (at: number): Promise<string> => {
    const said = await awaited[at]?.promise
    if (said === undefined || said === NO) throw refused(between)
    return said
  }
  const done = new AbortController()
  const late = async (): Promise<never> => {
    await sleep(withinMs, AbortSignal.any([between.closed, done.signal]))
    throw silent(between, withinMs)
  }
  let heard = 0
  return {
    hears(said) {
      const next = awaited[heard++]
      next?.resolve(said)
      return next !== undefined
    },
    words: Promise.race([(isCaller ? calling : called)(members, between, hear), late()]).finally(() => done.abort())
  }
}

type Hear = (at: number) => Promise<string>

async function calling(members: Uint8Array<ArrayBuffer>, between: Between, hear: Hear): Promise<readonly Word[]> {
  const path = await pathOf(members, between)
  const bytes = crypto.getRandomValues(new Uint8Array(BYTES))
  const nonce = toBase64Url(bytes)
  const commitment = await digest(bytes)
  between.say(await path.signed([commitment]))
  const theirs = await path.verified(await hear(0), [commitment])
  between.say(nonce)
  return await path.words(nonce, theirs)
}

async function called(members: Uint8Array<ArrayBuffer>, between: Between, hear: Hear): Promise<readonly Word[]> {
  const path = await pathOf(members, between)
  const nonce = toBase64Url(crypto.getRandomValues(new Uint8Array(BYTES)))
  const commitment = await path.verified(await hear(0), [])
  between.say(await path.signed([commitment, nonce]))
  const theirs = await hear(1)
  const bytes = bytesOf(theirs)
  if (!bytes || (await digest(bytes)) !== commitment) throw refusal(between)
  return await path.words(theirs, nonce)
}

/** What is said on a path, and by what it is proved. */
async function pathOf(members: Uint8Array<ArrayBuffer>, between: Between) {
  const { role, session, certificates } = between
  const { local, remote } = certificates
  const about = [session, ...(role === 'caller' ? [local, remote] : [remote, local])]
  const key = await keyOf(members)
  const told = (side: SideName, values: readonly string[]) => bytesToSign(['postern room', side, ...about, ...values])
  return {
    /** The last of the values, which the far side does not have, and the MAC over all. */
    async signed(values: readonly string[]): Promise<string> {
      const mac = await crypto.subtle.sign(MAC.name, key, told(role, values))
      return `${values.at(-1)}.${toBase64Url(new Uint8Array(mac))}`
    },
    /** The value that the far side has said, behind those that it has heard. */
    async verified(said: string, values: readonly string[]): Promise<string> {
      const [value = '', mac = ''] = said.split('.')
      const bytes = bytesOf(mac)
      const proof = told(otherSide(role), [...values, value])
      if (bytesOf(value) && bytes && (await crypto.subtle.verify(MAC.name, key, bytes, proof))) return value
      throw refusal(between)
    },
    async words(callers: string, callees: string): Promise<readonly Word[]> {
      const bytes = bytesToSign(['postern words', ...about, callers, callees])
      return wordsOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))
    }
  }
}

async function keyOf(members: Uint8Array<ArrayBuffer>) {
  const from = await crypto.subtle.importKey('raw', members, 'HKDF', false, ['deriveKey'])
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: utf8(''), info: utf8('postern room certificates') }
  return await crypto.subtle.deriveKey(hkdf, from, MAC, false, ['sign', 'verify'])
}

/** In one way only, whatever is in the texts. */
const bytesToSign = (texts: readonly string[]): Uint8Array<ArrayBuffer> => utf8(JSON.stringify(texts))

const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text)

const digest = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))

/**
 * The 32 bytes of a text in base64url. It may be written in one way only: else whoever is bound by a commitment could still choose among
 * the texts of one nonce.
 */
function bytesOf(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const bytes = fromBase64Url(text)
    return bytes.length === BYTES && toBase64Url(bytes) === text ? bytes : undefined
  } catch {
    return undefined
  }
}

const STRANGER = 'somebody stands between the two, or they came by different links'

/** Tells the far side that it is refused, and is the error of this one. */
function refusal({ say, peer }: Between): PosternError {
  say(NO)
  return new PosternError(
    'fingerprint-mismatch',
    `the certificate is not the one that peer ${peer.name} has: ${STRANGER}`
  )
}

const refused = ({ peer }: Between): PosternError =>
  new PosternError(
    'fingerprint-mismatch',
    `peer ${peer.name} was shown another certificate than this one's: ${STRANGER}`
  )

const silent = ({ peer }: Between, ms: number): PosternError =>
  new PosternError(
    'timeout',
    `peer ${peer.name} did not prove within ${roughly(ms)} that nobody stands between; it is gone, or has another release of postern`
  )
