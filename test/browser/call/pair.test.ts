// A call of two, behind NATs of the laboratory, from the lobby to the second time. Skipped like pages.test.ts.

import type { ExecutionContext } from 'ava'
import { strings } from '../../../src/call/words/strings.ts'
import type { Kind } from '../browsers.ts'
import { browserTest } from '../web.ts'
import type { CallPage, Watched } from './call-page.ts'
import { openCall, opensLink } from './lab.ts'

const { call, chat, controls, badge } = strings

for (const kind of ['chromium', 'firefox'] as const)
  browserTest(
    `Chromium and ${kind} meet by a link, directly, and do what a call is for`,
    ['chromium', kind, 'certutil'],
    async t => {
      await using opened = await openCall('[direct, stun]')
      const { rig, link } = opened
      const both = [opensLink(rig, 0, 'chromium', link, 'Ann'), opensLink(rig, 1, kind, link, 'Bob')] as const
      await using ann = await both[0]
      await using bob = await both[1]
      await t.notThrowsAsync(ann.enters())
      await bob.isLetIn(ann)
      for (const [one, other] of [
        [ann, bob],
        [bob, ann]
      ] as const) {
        await one.hasBadge(other.name, badge.direct)
        await one.seesOthers(t)
      }
      await write(t, ann, bob)
      await sendFile(t, bob, ann)
      await turnOff(t, ann, bob)
      await share(t, ann, bob)
      if (kind === 'chromium') await share(t, bob, ann)
      await switchCamera(t, ann, bob)
      await leaveAndComeBack(t, ann, bob, kind)
      for (const page of [ann, bob]) t.deepEqual(await page.complaints(), [], page.name)
    }
  )

async function write(t: ExecutionContext, ann: CallPage, bob: CallPage): Promise<void> {
  await ann.press(controls.chat)
  await bob.press(controls.chat)
  for (const [from, to, text] of [
    [ann, bob, 'Hello, <b>Bob</b> & co'],
    [bob, ann, 'and hello\nto you 🐶']
  ] as const) {
    await from.writes(text)
    for (const page of [from, to]) await t.notThrowsAsync(page.says(text), `${page.name} reads ${text}`)
  }
}

async function sendFile(t: ExecutionContext, from: CallPage, to: CallPage): Promise<void> {
  const bytes = 700_001
  await from.attaches('plan.bin', bytes)
  await from.says(`${to.name}: ${chat.waits}`)
  await to.says(chat.offered(from.name), 'plan.bin')
  await to.press(chat.accept)
  await from.says(`${to.name}: ${chat.sent}`)
  await to.says(chat.save)
  t.deepEqual(await to.received(), { bytes, isWhole: true })
  await from.attaches('no.bin', 10)
  await to.press(chat.refuse)
  await from.says(`${to.name}: ${chat.refused}`)
  for (const page of [from, to]) await page.press(controls.close)
}

async function turnOff(t: ExecutionContext, ann: CallPage, bob: CallPage): Promise<void> {
  await ann.press(controls.cameraOff)
  await bob.tileSays(ann.name, call.noPicture)
  await ann.press(controls.mute)
  await bob.tileSays(ann.name, call.muted)
  await ann.press(controls.unmute)
  await bob.tileSays(ann.name, call.muted, false)
  await ann.press(controls.cameraOn)
  await bob.tileSays(ann.name, call.noPicture, false)
  await bob.seesOthers(t)
}

/** A screen takes the place of the camera, and gives it back, on the same connection. */
async function share(t: ExecutionContext, from: CallPage, to: CallPage): Promise<void> {
  const isScreen = (is: boolean) =>
    to.run(
      `const fits = ({ width, height }) => width > 0 && (Math.abs(width / height - 1.6) < 0.02) === given
      await tools.until('a screen: ' + given, async () => (await tools.received()).some(fits))`,
      is
    )
  const watched = await to.watching(async () => {
    await from.press(controls.share)
    await to.tileSays(from.name, call.shares(from.name))
    await isScreen(true)
    await from.press(controls.unshare)
    await to.tileSays(from.name, call.shares(from.name), false)
    await isScreen(false)
  })
  isWithoutGap(t, watched, `${from.name} shares`)
}

async function switchCamera(t: ExecutionContext, from: CallPage, to: CallPage): Promise<void> {
  const watched = await to.watching(async () => {
    await from.press(controls.settings)
    const chosen = await from.run(
      `const list = await tools.when('the cameras', () => [...document.querySelectorAll('.panel label.field')]
        .find(({ innerText }) => innerText.startsWith(given))?.querySelector('select:has(:nth-child(3))'))
      const other = [...list.options].at(-1)
      list.value = other.value
      list.dispatchEvent(new Event('change', { bubbles: true }))
      return other.value`,
      strings.settings.camera
    )
    const sends = `const tracks = [...tools.all].flatMap(pc => pc.getSenders().map(({ track }) => track))
      const isIt = track => track?.kind === 'video' && track.getSettings().deviceId === given`
    await from.run(`await tools.until('the other camera', () => { ${sends}; return tracks.some(isIt) })`, chosen)
    await to.seesOthers(t)
    await from.press(controls.close)
  })
  isWithoutGap(t, watched, 'another camera')
}

function isWithoutGap(t: ExecutionContext, watched: Watched, what: string): void {
  t.true(watched.isSame && watched.gapMs < 1000 && watched.frames > 1, `${what}: ${JSON.stringify(watched)}`)
  t.log(`${what}: longest gap ${watched.gapMs} ms`)
}

async function leaveAndComeBack(t: ExecutionContext, ann: CallPage, bob: CallPage, kind: Kind): Promise<void> {
  await ann.press(controls.chat)
  await bob.press(controls.leave)
  await bob.says(strings.over.left.title)
  await ann.says(call.people(1), chat.went(bob.name))
  await bob.press(strings.over.again)
  await bob.enters()
  await ann.seesOthers(t)
  if (kind === 'firefox') return
  for (const page of [ann, bob]) await page.press(controls.leave)
  for (const page of [bob, ann]) {
    await page.press(strings.over.again)
    await page.enters()
  }
  for (const page of [ann, bob]) await page.seesOthers(t)
}
