// A call of two that goes through the relay, whose limit is low: each is told so, why, and what to do. Skipped like pages.test.ts.

import { strings } from '../../../src/call/words/strings.ts'
import { browserTest } from '../web.ts'
import { openCall, opensLink } from './lab.ts'

const { badge } = strings

browserTest(
  'two that are relayed see and hear each other, and are told why, what to do, and the limit',
  ['chromium', 'firefox', 'certutil'],
  async t => {
    await using opened = await openCall('[{ relay: { perSession: 500 kbit/s } }]')
    const { rig, link } = opened
    const both = [opensLink(rig, 0, 'chromium', link, 'Ann'), opensLink(rig, 1, 'firefox', link, 'Bob')] as const
    await using ann = await both[0]
    await using bob = await both[1]
    await ann.enters()
    await bob.isLetIn(ann)
    for (const page of [ann, bob]) await page.seesOthers(t)
    const verdict = await rig.newest().then(record => record?.verdict)
    t.truthy(verdict?.sentence)
    for (const [page, other] of [
      [ann, bob],
      [bob, ann]
    ] as const) {
      await page.hasBadge(other.name, badge.relayed)
      await page.press(badge.open(other.name, badge.relayed))
      await page.says(badge.isRelayed, badge.because, badge.advice, badge.limit, '500 kbit/s')
      const why = (await page.run(
        `return [...document.querySelectorAll('.why dd')].map(({ textContent }) => textContent)`
      )) as string[]
      t.log(`${page.name} is told: ${why.join(' ')}`)
      t.is(why.length, 2)
      // What the gateway says, with the names of people in the place of those that it made up.
      for (const [at, said] of [verdict?.sentence, verdict?.advice].entries()) {
        t.false(/guest-/.test(why[at] ?? ''), why[at])
        const [first = ''] = (said ?? '').split(/\bguest-[\da-f]+\b/)
        t.true(why[at]?.toLowerCase().includes(first.toLowerCase().trim()), `${why[at]}: ${said}`)
      }
      await page.says(badge.roundTrip)
      await page.run(
        `await tools.when('a figure', () => /\\d+ ms/.test(tools.said(document.querySelector('.figures'))))`
      )
    }
    for (const page of [ann, bob]) t.deepEqual(await page.complaints(), [], page.name)
  }
)
