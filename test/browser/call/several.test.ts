// Calls of three and of four, as pages in contexts of one Chromium: everybody sees and hears everybody, and a fifth is told why not.

import { strings } from '../../../src/call/words/strings.ts'
import { Loopback, pageTest } from './loopback.ts'

/** So that one computer can film, encode and decode for all of them: four frames and a quarter of a second of sound. */
const FEW = { frames: 4, samples: 12_000 }

pageTest('three see and hear each other, then four, and a fifth is told that the room is full', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.hasInside('Ann')
  const inside = [ann]
  for (const name of ['Bob', 'Cid', 'Dan']) {
    inside.push(await loopback.hasInside(name, ann))
    if (inside.length > 2) for (const page of inside) await page.seesOthers(t, inside.length - 1, FEW)
  }
  for (const page of inside) {
    await page.says(strings.call.people(4))
    for (const other of inside) if (other !== page) await page.tileSays(other.name, strings.badge.direct)
  }
  const eve = await loopback.opens('Eve')
  await eve.checksDevices()
  await eve.joins()
  const { title, text } = strings.problems['room-full']
  await eve.says(title, text)
  await inside[3]?.press(strings.controls.leave)
  await ann.says(strings.call.people(3))
  await eve.press(strings.over.again)
  await eve.isLetIn(ann)
  await eve.seesOthers(t, 3, FEW)
  for (const page of [...inside, eve]) t.deepEqual(await page.complaints(), [], page.name)
})
