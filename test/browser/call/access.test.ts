// What everybody is to be able to use: axe finds nothing, at two widths, light and dark; nothing is wider than its window; the keyboard
// reaches everything.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { ExecutionContext } from 'ava'
import { strings } from '../../../src/call/words/strings.ts'
import { Loopback, type OwnPage, pageTest } from './loopback.ts'

const { controls, settings, chat, badge, lobby } = strings

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const SIZES = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 }
] as const
const SCHEMES = ['light', 'dark'] as const
/** The widths that pages are made for, in CSS pixels: phones to large screens. */
const WIDTHS = [360, 390, 600, 768, 1024, 1280, 1920, 2560] as const

interface Found {
  /** Rules that hold. */
  readonly passes: number
  readonly violations: readonly { readonly id: string; readonly nodes: readonly string[] }[]
}

const look = `axe.run(document, { resultTypes: ['violations'] }).then(({ passes, violations }) => ({
  passes: passes.length,
  violations: violations.map(({ id, nodes }) => ({
    id,
    nodes: nodes.map(({ html, failureSummary }) => html.slice(0, 160) + ' ' + failureSummary)
  }))
}))`

/** What axe has to say of the page as it is now, at each size and in each scheme; and what is wider than its window. */
async function isClean(t: ExecutionContext, { page, name }: OwnPage, what: string): Promise<void> {
  // Nothing is half faded in when it is looked at.
  await page.emulateMedia({ reducedMotion: 'reduce' })
  if (!(await page.evaluate('"axe" in globalThis'))) await page.evaluate(axe)
  for (const size of SIZES)
    for (const colorScheme of SCHEMES) {
      await page.setViewportSize(size)
      await page.emulateMedia({ colorScheme })
      const { passes, violations } = (await page.evaluate(look)) as Found
      t.deepEqual(violations, [], `${name}: ${what}, ${colorScheme}, ${size.width}`)
      t.true(passes > 8, `${passes} rules hold`)
    }
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: width < 700 ? 800 : 1000 })
    const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    t.is(wide, 0, `${name}: ${what} scrolls sideways at ${width}`)
  }
  await page.setViewportSize(SIZES[0])
}

pageTest('lobby, and what is told in the place of a call, are clean and fit', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.opens('Ann')
  await ann.says(lobby.heading('standup'))
  await isClean(t, ann, 'lobby')
  await ann.checksDevices()
  await ann.page.getByText(lobby.devices).click()
  await isClean(t, ann, 'lobby with devices')
  await ann.joins()
  await ann.isInside()
  await isClean(t, ann, 'alone')
  const denied = await loopback.opens('Bob', { permissions: [] })
  await denied.press(lobby.useBoth)
  await denied.says(strings.devices.denied.title)
  await isClean(t, denied, 'no devices')
  await denied.joins()
  await denied.says(strings.waiting.heading)
  await isClean(t, denied, 'waiting')
  await isClean(t, ann, 'somebody waits')
  await ann.press(strings.call.turnAway)
  await denied.says(strings.problems['turned-away'].title)
  await isClean(t, denied, 'turned away')
  await ann.press(controls.leave)
  await ann.says(strings.over.left.title)
  await isClean(t, ann, 'left')
  const broken = await loopback.opens('Cid', {}, loopback.link.slice(0, -1))
  await isClean(t, broken, 'no link')
})

pageTest('a call of two is clean and fits, with each panel', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.hasInside('Ann')
  const bob = await loopback.hasInside('Bob with a name of forty characters…', ann)
  await ann.hasBadge(bob.name, badge.direct)
  await isClean(t, ann, 'call')
  await ann.press(controls.chat)
  await bob.press(controls.chat)
  await bob.writes(`a word that does not end: ${'x'.repeat(300)}`)
  await bob.attaches(`${'long-name-'.repeat(11)}.tar.gz`, 5)
  await ann.says(chat.accept)
  await isClean(t, ann, 'chat')
  await isClean(t, bob, 'chat of the sender')
  await ann.press(controls.settings)
  await ann.says(settings.keys)
  await isClean(t, ann, 'settings')
  await ann.press(badge.open(bob.name, badge.direct))
  await ann.says(badge.isDirect)
  await isClean(t, ann, 'connection')
  await bob.press(controls.share)
  await ann.tileSays(bob.name, strings.call.shares(bob.name))
  await isClean(t, ann, 'screen')
  await isClean(t, bob, 'own screen')
  t.deepEqual([await ann.complaints(), await bob.complaints()], [[], []])
})

pageTest('the keyboard reaches every control, closes panels, and has keys for what is done often', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.opens('Ann')
  await ann.checksDevices()
  await isReached(t, ann, 'lobby')
  await ann.joins()
  await ann.isInside()
  const bob = await loopback.hasInside('Bob', ann)
  await ann.hasBadge('Bob', badge.direct)
  await isReached(t, ann, 'call')
  const { keyboard } = ann.page
  await ann.page.evaluate('document.activeElement.blur()')
  for (const [key, ...said] of [
    ['m', controls.unmute, controls.mute],
    ['v', controls.cameraOn, controls.cameraOff],
    ['s', controls.unshare, controls.share]
  ] as const)
    for (const name of said) {
      await keyboard.press(key)
      await ann.has(name)
    }
  await keyboard.press('m')
  await bob.tileSays('Ann', strings.call.muted)
  // Held, the space bar is a microphone that is on.
  await keyboard.down(' ')
  await bob.tileSays('Ann', strings.call.muted, false)
  await keyboard.up(' ')
  await bob.tileSays('Ann', strings.call.muted)
  await keyboard.press('c')
  await hasPanel(ann, true)
  await isReached(t, ann, 'chat')
  await ann.page.getByLabel(chat.write).fill('mvsc m v')
  await ann.page.getByLabel(chat.write).press('Enter')
  await bob.press(`${controls.chat}, ${controls.unread(1)}`)
  await bob.says('mvsc m v')
  await keyboard.type('cm')
  await ann.has(controls.cameraOff)
  await keyboard.press('Escape')
  await hasPanel(ann, false)
  for (const panel of [controls.settings, badge.open('Bob', badge.direct)]) {
    await ann.run('tools.control(given).focus()', panel)
    await keyboard.press('Enter')
    await ann.run('await tools.when("a panel", () => document.activeElement?.closest(".panel"))')
    await keyboard.press('Escape')
    await hasPanel(ann, false)
    t.is(await ann.run('return document.activeElement?.getAttribute("aria-label")'), panel, 'where it was before')
    await keyboard.press('Enter')
    await hasPanel(ann, true)
    await isReached(t, ann, panel)
    await ann.press(controls.close)
    await hasPanel(ann, false)
  }
  t.deepEqual([await ann.complaints(), await bob.complaints()], [[], []])
})

const hasPanel = (page: OwnPage, has: boolean): Promise<unknown> =>
  page.run('await tools.when("a panel: " + given, () => (document.querySelector(".panel") !== null) === given)', has)

/** Tab, from the beginning, comes to all that can be pressed or filled in. */
async function isReached(t: ExecutionContext, { page }: OwnPage, what: string): Promise<void> {
  await page.evaluate(`globalThis.controls = [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
    .filter(one => !one.disabled && one.checkVisibility({ visibilityProperty: true }))
    document.activeElement?.blur()
    globalThis.reached = new Set()
    getSelection().removeAllRanges()`)
  const left = `controls.filter(one => one.isConnected && !one.disabled && !reached.has(one)).map(tools.nameOf)`
  const count = (await page.evaluate('controls.length')) as number
  for (let turn = 0; turn < 2 * count + 4; turn++) {
    await page.keyboard.press('Tab')
    await page.evaluate('reached.add(document.activeElement), null')
  }
  t.true(count > 3, `${what}: ${count} controls`)
  t.deepEqual(await page.evaluate(left), [], what)
}
