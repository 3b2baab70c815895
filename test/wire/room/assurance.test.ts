import { createHash, createHmac, hkdfSync } from 'node:crypto'
import test from 'ava'
import type { PosternError } from '../../../src/errors.ts'
import { type Assurance, assurance, type Between } from '../../../src/wire/room/assurance.ts'
import { roomKeys } from '../../../src/wire/room/keys.ts'
import { newSecret } from '../../../src/wire/room/link.ts'
import type { Word } from '../../../src/wire/room/words.ts'

const membersOf = async (secret: string) => (await roomKeys({ name: 'standup', secret })).members
const members = await membersOf(newSecret())

const session = '0123456789abcdef'
const [anns, bobs, eves] = ['AA:AA', 'BB:BB', 'EE:EE'] as const

/** What passes: as it is, or something in its place; undefined is lost. */
type Passes = (said: string, from: 'ann' | 'bob', nth: number) => string | undefined

interface Spec {
  readonly ann?: Partial<Between>
  readonly bob?: Partial<Between>
  readonly bobsMembers?: Uint8Array<ArrayBuffer>
  readonly passes?: Passes
  readonly withinMs?: number
}

interface Said {
  readonly from: 'ann' | 'bob'
  readonly said: string
}

/** Ann calls Bob. Gives what each has in the end, and what was said. */
async function meet({ ann, bob, bobsMembers = members, passes = said => said, withinMs }: Spec = {}) {
  const said: Said[] = []
  const sides: Partial<Record<'ann' | 'bob', Assurance>> = {}
  const closed = new AbortController().signal
  const saying = (from: 'ann' | 'bob') => (text: string) => {
    const passed = passes(text, from, said.filter(one => one.from === from).length)
    said.push({ from, said: text })
    if (passed !== undefined) sides[from === 'ann' ? 'bob' : 'ann']?.hears(passed)
  }
  const of = (from: 'ann' | 'bob') => ({
    session,
    peer: { name: from === 'ann' ? 'bob' : 'ann' },
    closed,
    say: saying(from)
  })
  sides.ann = assurance(
    members,
    { ...of('ann'), role: 'caller', certificates: { local: anns, remote: bobs }, ...ann },
    withinMs
  )
  sides.bob = assurance(
    bobsMembers,
    { ...of('bob'), role: 'callee', certificates: { local: bobs, remote: anns }, ...bob },
    withinMs
  )
  const [hers, his] = await Promise.allSettled([sides.ann.words, sides.bob.words])
  return { ann: endOf(hers), bob: endOf(his), said, sides: sides as Record<'ann' | 'bob', Assurance> }
}

const endOf = (end: PromiseSettledResult<readonly Word[]>): string =>
  end.status === 'fulfilled' ? end.value.map(({ word }) => word).join(' ') : (end.reason as PosternError).code

const text = (said: readonly Said[], from: 'ann' | 'bob', nth: number): string =>
  said.filter(one => one.from === from)[nth]?.said ?? ''

const REFUSED = 'fingerprint-mismatch'

test('two that have the link and see the same certificates have the same four words, and others the next time', async t => {
  const first = await meet()
  t.is(first.ann, first.bob)
  t.is(first.ann.split(' ').length, 4)
  const more = await Promise.all(Array.from({ length: 8 }, () => meet()))
  for (const { ann, bob } of more) t.is(ann, bob)
  t.true(new Set(more.map(({ ann }) => ann)).size >= 7)
})

test('the proofs are HMAC-SHA-256 by a key of HKDF, and the words SHA-256, as another implementation has them', async t => {
  const { said, sides } = await meet()
  const key = Buffer.from(hkdfSync('sha256', members, '', 'postern room certificates', 32))
  const mac = (values: readonly string[]) =>
    createHmac('sha256', key)
      .update(JSON.stringify(['postern room', ...values]))
      .digest('base64url')
  const [commitment = '', hers] = text(said, 'ann', 0).split('.')
  const [called = '', his] = text(said, 'bob', 0).split('.')
  const calling = text(said, 'ann', 1)
  t.is(commitment, createHash('sha256').update(Buffer.from(calling, 'base64url')).digest('base64url'))
  t.is(hers, mac(['caller', session, anns, bobs, commitment]))
  t.is(his, mac(['callee', session, anns, bobs, commitment, called]))
  const digest = createHash('sha256')
    .update(JSON.stringify(['postern words', session, anns, bobs, calling, called]))
    .digest()
  const bits = digest.readUIntBE(0, 3) >> 4
  const words = await sides.ann.words
  t.true(words.every(({ emoji }) => emoji.length > 0))
  t.deepEqual(
    words.map(({ word }) => word),
    [15, 10, 5, 0].map(shift => TABLE[(bits >> shift) & 31])
  )
})

const TABLE =
  'elephant turtle butterfly octopus penguin owl horse fox mushroom sunflower moon fire rainbow lightning snowman banana cherries pizza carrot book gift key bell anchor hammer bicycle rocket train boat guitar drum glasses'.split(
    ' '
  )

test('whoever was shown another certificate is refused, and so is the other side, whichever of the four it is', async t => {
  for (const spec of [
    { ann: { certificates: { local: anns, remote: eves } } },
    { ann: { certificates: { local: eves, remote: bobs } } },
    { bob: { certificates: { local: bobs, remote: eves } } },
    { bob: { certificates: { local: eves, remote: anns } } },
    { ann: { certificates: { local: anns, remote: eves } }, bob: { certificates: { local: bobs, remote: eves } } }
  ]) {
    const { ann, bob } = await meet(spec)
    t.deepEqual([ann, bob], [REFUSED, REFUSED])
  }
})

test('whoever came by another link is refused, and so is the other side', async t => {
  const { ann, bob } = await meet({ bobsMembers: await membersOf(newSecret()) })
  t.deepEqual([ann, bob], [REFUSED, REFUSED])
})

test('what a side has said itself proves nothing to it', async t => {
  const commitments: string[] = []
  const reflected = await meet({
    passes: (said, from) => {
      if (from === 'ann') commitments.push(said)
      return from === 'ann' ? said : commitments[0]
    }
  })
  t.is(reflected.ann, REFUSED)
  const twice = await meet({ ann: { role: 'callee', certificates: { local: bobs, remote: anns } }, withinMs: 50 })
  t.deepEqual([twice.ann, twice.bob], ['timeout', 'timeout'], 'two callees wait for each other')
})

test('what was said in another session proves nothing in this one, nor in this one with another nonce', async t => {
  const before = await meet({ ann: { session: 'another' }, bob: { session: 'another' } })
  t.is(before.ann, before.bob)
  const same = await meet()
  for (const { said } of [before, same]) {
    const caller = await meet({ passes: (now, from, nth) => (from === 'ann' ? text(said, 'ann', nth) : now) })
    t.is(caller.ann, REFUSED, 'the callee has proved itself to another commitment')
    const callee = await meet({ passes: (now, from, nth) => (from === 'bob' ? text(said, 'bob', nth) : now) })
    t.is(callee.ann, REFUSED)
    t.is(callee.bob, REFUSED)
  }
})

test('a caller that tells another nonce than it was bound to is refused, however it writes it', async t => {
  const other = Buffer.alloc(32, 7).toString('base64url')
  const written: ((nonce: string) => string)[] = [
    () => other,
    () => '',
    nonce => `${nonce}=`,
    nonce => ` ${nonce}`,
    nonce => nonce.replaceAll('-', '+').replaceAll('_', '/').concat(' '),
    // The same 32 bytes: of the last character two bits are to spare.
    nonce => nonce.slice(0, -1) + String.fromCharCode(nonce.charCodeAt(nonce.length - 1) + 1),
    nonce => nonce.slice(0, -1),
    nonce => `${nonce}AAAA`
  ]
  for (const write of written) {
    const { bob } = await meet({ passes: (said, from, nth) => (from === 'ann' && nth === 1 ? write(said) : said) })
    t.is(bob, REFUSED, String(write))
  }
})

test('whoever has the link and stands between has other words with each side', async t => {
  const [one, other] = await Promise.all([
    meet({
      ann: { certificates: { local: anns, remote: eves } },
      bob: { certificates: { local: eves, remote: anns } }
    }),
    meet({ ann: { certificates: { local: eves, remote: bobs } }, bob: { certificates: { local: bobs, remote: eves } } })
  ])
  t.is(one.ann, one.bob)
  t.is(other.ann, other.bob)
  t.not(one.ann, other.bob)
})

test('what is no proof at all is refused', async t => {
  for (const nonsense of ['', '.', 'no.', '...', 'x'.repeat(2000), '\0', '😀.😀', 'AAAA.AAAA']) {
    const { ann, bob } = await meet({ passes: (said, from) => (from === 'ann' ? nonsense : said) })
    t.deepEqual([ann, bob], [REFUSED, REFUSED], nonsense)
    const other = await meet({ passes: (said, from) => (from === 'bob' ? nonsense : said) })
    t.deepEqual([other.ann, other.bob], [REFUSED, REFUSED], nonsense)
  }
})

test('a side that says nothing is waited for within a bound, and nobody who says more is listened to', async t => {
  const startMs = performance.now()
  const lost: Passes[] = [
    (said, from) => (from === 'bob' ? said : undefined),
    (said, from) => (from === 'ann' ? said : undefined)
  ]
  for (const passes of lost) {
    const { ann, bob } = await meet({ passes, withinMs: 50 })
    t.deepEqual([ann, bob], ['timeout', 'timeout'])
  }
  const { bob } = await meet({ passes: (said, _, nth) => (nth === 1 ? undefined : said), withinMs: 50 })
  t.is(bob, 'timeout', 'the nonce that it is bound to does not come')
  t.true(performance.now() - startMs < 5000)
  const { sides } = await meet()
  t.deepEqual([sides.ann.hears('more'), sides.bob.hears('more')], [false, false])
})

test('a connection that ends meanwhile ends it with its own reason', async t => {
  const closed = AbortSignal.abort(new Error('closed'))
  const { words } = assurance(members, {
    ...{ role: 'callee', session, certificates: { local: bobs, remote: anns }, peer: { name: 'ann' }, closed },
    say: () => {}
  })
  await t.throwsAsync(words, { message: 'closed' })
})

test('there are 32 pictures and 32 words, each shown as a picture everywhere', async t => {
  const found = new Map<string, string>()
  while (found.size < 32) for (const { word, emoji } of await (await meet()).sides.ann.words) found.set(word, emoji)
  t.is(new Set(found.values()).size, 32)
  t.deepEqual([...found.keys()].toSorted(), TABLE.toSorted())
  for (const emoji of found.values()) t.regex(emoji, /^\p{Emoji_Presentation}$/u)
})
