// What a call sends where so much passes: sound first, then as much of a picture as there is room for.

import test from 'ava'
import fc from 'fast-check'
import { budgetOf, Caution } from '../../src/call/sending/policy.ts'

const K = 1000
const relayed = (bitsPerSecond: number) => ({ isRelayed: true, bitsPerSecond })
const direct = { isRelayed: false }

/** What it comes to on the wire: of sound 50 packets a second, of a picture one of 1,100 bytes after the other, 28 bytes for each. */
function onTheWire({ soundBitsPerSecond, picture }: ReturnType<typeof budgetOf>): number {
  const ofPicture = picture.isActive ? picture.bitsPerSecond * (1 + 28 / 1100) : 0
  return soundBitsPerSecond + 50 * 28 * 8 + ofPicture
}

test('sound and picture stay within four fifths of what the relay lets through, whatever that is', t => {
  fc.assert(
    fc.property(fc.integer({ min: 60 * K, max: 20_000 * K }), fc.constantFrom('camera', 'screen'), (limit, content) => {
      const budget = budgetOf(relayed(limit), content)
      return onTheWire(budget) <= 0.8 * limit && budget.soundBitsPerSecond >= 24 * K
    })
  )
  t.pass()
})

test('the less passes, the smaller and slower the picture, until it stops and the sound has all', t => {
  const shown = (limit: number) => {
    const { picture, soundBitsPerSecond } = budgetOf(relayed(limit), 'camera')
    return picture.isActive
      ? `${picture.height}p${picture.framesPerSecond}`
      : `sound at ${soundBitsPerSecond / K} kbit/s`
  }
  t.deepEqual(
    [4000, 1000, 500, 250, 170, 100, 50].map(limit => shown(limit * K)),
    ['720p30', '540p30', '360p24', '270p15', '180p10', 'sound at 24 kbit/s', 'sound at 24 kbit/s']
  )
})

test('text on a screen keeps its size, and gives up frames', t => {
  const shown = (limit: number) => budgetOf(relayed(limit), 'screen').picture
  t.like(shown(4000 * K), { height: 2160, framesPerSecond: 15 })
  t.like(shown(500 * K), { height: 1080, framesPerSecond: 5 })
  t.like(shown(100 * K), { isActive: false })
})

test('a direct path is bounded by what is of use, and a relayed one of which nothing is known carries a small picture', t => {
  t.like(budgetOf(direct, 'camera').picture, { bitsPerSecond: 2500 * K, height: 720, framesPerSecond: 30 })
  t.is(budgetOf(direct, 'screen').picture.bitsPerSecond, 4000 * K)
  t.like(budgetOf({ isRelayed: true }, 'camera').picture, { isActive: true, height: 270 })
})

test('a rate at the edge of two sizes does not go up and down', t => {
  const at = (limit: number, before?: ReturnType<typeof budgetOf>) =>
    budgetOf(relayed(limit), 'camera', 1, before?.picture)
  const edge =
    [...Array(1000).keys()].map(at => 400 * K + at * 100).find(limit => at(limit).picture.height === 360) ?? 0
  const above = at(edge)
  const below = at(edge - 1000, above)
  t.deepEqual([above.picture.height, below.picture.height], [360, 270])
  t.is(at(edge + 1000, below).picture.height, 270)
  t.is(at(edge * 1.2, below).picture.height, 360)
})

const calm = { sent: 200, lost: 0, roundTripMs: 40 }

function after(...heard: readonly Parameters<Caution['hears']>[0][]): Caution {
  const caution = new Caution()
  for (const one of heard) caution.hears(one)
  return caution
}

test('less is sent while much is lost or waits on the way, never less than three tenths, and more again bit by bit', t => {
  t.is(after(calm, calm).share, 1)
  t.is(after(calm, { ...calm, lost: 30 }).share, 0.8)
  t.is(after(calm, { ...calm, lost: 30 }, calm).share, 0.8, 'what was lost counts once')
  t.is(after(calm, { ...calm, roundTripMs: 900 }).share, 0.8)
  t.is(after(calm, { ...calm, lost: 8, roundTripMs: 200 }).share, 1, 'a little is what the browser repairs')
  const caution = after(...Array(20).fill({ ...calm, lost: 100 }))
  t.is(caution.share, 0.3)
  for (let times = 0; times < 3; times++) caution.hears(calm)
  t.is(caution.share, 0.3, 'not at the first good word')
  caution.hears(calm)
  t.true(caution.share > 0.3 && caution.share < 0.33)
  for (let times = 0; times < 60; times++) caution.hears(calm)
  t.is(caution.share, 1)
})

test('on another path the caution begins anew', t => {
  const caution = after(calm, { ...calm, lost: 100 })
  caution.reset()
  t.is(caution.share, 1)
  caution.hears({ ...calm, roundTripMs: 300 })
  t.is(caution.share, 1)
})
