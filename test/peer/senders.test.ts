// Who may send: whom the owner of a peer has named, or lets when asked.

import test from 'ava'
import { PosternError } from '../../src/errors.ts'
import type { FarPeer } from '../../src/peer/connection/connection.ts'
import { parsePeer } from '../../src/peer/identity/known-peers.ts'
import { type Ask, Senders, type Wish } from '../../src/peer/services/senders.ts'

const fingerprintOf = (byte: number) =>
  Array.from({ length: 32 }, () => byte.toString(16).padStart(2, '0'))
    .join(':')
    .toUpperCase()
const peer = (name: string, byte: number, named = true): FarPeer => ({ name, fingerprint: fingerprintOf(byte), named })
const send: Wish = { kind: 'send', words: 'send "note" (3 B)' }
const pipe: Wish = { kind: 'pipe', words: 'be joined' }
const open = new AbortController().signal

test('whom --from names may, by the name it joined under, or by its fingerprint under any name', async t => {
  const pinned = fingerprintOf(0xcc).replaceAll(':', '')
  const senders = new Senders({ named: [parsePeer('alice'), parsePeer(`carol@${pinned}`)] })
  for (const one of [peer('alice', 0xaa), peer('carol', 0xcc), peer('guest-1', 0xcc, false)])
    await t.notThrowsAsync(senders.admit(one, send, open), one.name)
  for (const one of [
    peer('carol', 0xcd),
    peer('alice', 0xaa, false),
    { name: 'alice', fingerprint: 'AA' },
    peer('Alice', 1)
  ]) {
    const { message } =
      (await t.throwsAsync(senders.admit(one, pipe, open), { instanceOf: PosternError, code: 'io' })) ?? {}
    t.regex(message ?? '', new RegExp(`^--from names others, and not ${one.name}@[0-9a-f]+$`))
  }
})

test('with no names and nobody to ask, whoever may connect may send', async t => {
  await t.notThrowsAsync(new Senders({}).admit(peer('anybody', 1, false), send, open))
})

test('the owner is asked once about each computer and each kind of wish, and the answer is kept', async t => {
  const asked: string[] = []
  const ask: Ask = async ({ fingerprint }, { kind }) => {
    asked.push(`${fingerprint.slice(0, 2)} ${kind}`)
    return fingerprint.startsWith('AA') && kind === 'send'
  }
  const senders = new Senders({ ask })
  for (let times = 0; times < 2; times++) {
    await Promise.all(['x', 'y'].map(name => senders.admit(peer(name, 0xaa), send, open)))
    const no = { code: 'io', message: /^the owner of this peer said no to [xb]@/ } as const
    await t.throwsAsync(senders.admit(peer('x', 0xaa), pipe, open), no)
    await t.throwsAsync(senders.admit(peer('b', 0xbb), send, open), no)
  }
  t.deepEqual(asked, ['AA send', 'AA pipe', 'BB send'])
})

test('a question is asked again if nobody answered, and one after the other', async t => {
  const asked: string[] = []
  const ask: Ask = async ({ name }, _, signal) => {
    asked.push(name)
    if (asked.length > 1) return true
    return await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
  const senders = new Senders({ ask })
  const gone = new AbortController()
  const first = senders.admit(peer('first', 1), send, gone.signal)
  const second = senders.admit(peer('second', 2), send, open)
  await Promise.resolve()
  t.deepEqual(asked, ['first'])
  const withdrawn = t.throwsAsync(first, { message: 'gone' })
  gone.abort(new PosternError('io', 'gone'))
  await withdrawn
  await second
  await senders.admit(peer('first', 1), send, open)
  t.deepEqual(asked, ['first', 'second', 'first'])
})

test('few questions wait for others to be answered', async t => {
  const senders = new Senders({ ask: () => new Promise(() => {}) })
  const waiting = Array.from({ length: 40 }, (_, byte) => senders.admit(peer('x', byte), send, open))
  const late = waiting.slice(9).map(admission => t.throwsAsync(admission, { code: 'io', message: /about others/ }))
  t.is((await Promise.all(late)).length, 31)
})
