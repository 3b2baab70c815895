// What can be wrong with a link, a room, a device or a browser: each is told by its own sentence, and has a way on that leads somewhere.

import type { ExecutionContext } from 'ava'
import { type DeviceProblem, type Problem, strings } from '../../../src/call/words/strings.ts'
import { newSecret } from '../../../src/wire/room/link.ts'
import { until } from '../../until.ts'
import { Loopback, type OwnPage, pageTest } from './loopback.ts'

const { over, lobby, controls, devices, call, problems } = strings

async function tells(page: OwnPage, problem: Problem): Promise<void> {
  const { title, text } = problems[problem]
  await page.says(title, text)
}

/** The button leads back to the lobby. */
async function goesBack(page: OwnPage): Promise<void> {
  await page.press(over.again)
  await page.says(lobby.heading('standup'))
}

pageTest('a link that is not whole is told before anything is asked for, and again until it is whole', async t => {
  await using loopback = await Loopback.open()
  for (const end of ['', '#short', `#${newSecret().slice(0, 21)}_`]) {
    const page = await loopback.opens('Ann', {}, loopback.link.replace(/#.*/, end))
    await tells(page, 'no-link')
    await page.anew(() => page.press(over.reload))
    await tells(page, 'no-link')
    // Whoever pastes the whole link into the same tab is in the lobby.
    await page.anew(() => page.page.evaluate(`location.href = ${JSON.stringify(loopback.link)}`))
    await page.says(lobby.heading('standup'))
    t.deepEqual(await page.complaints(), [])
  }
})

pageTest('a wrong secret, and a room that is closed, lead to no room', async t => {
  await using loopback = await Loopback.open()
  const wrong = await loopback.opens('Ann', {}, loopback.link.replace(/#.*/, `#${newSecret()}`))
  await wrong.joins()
  await tells(wrong, 'no-room')
  await goesBack(wrong)
  const bob = await loopback.hasInside('Bob')
  const maker = await loopback.world.join('maker')
  await maker.closeRoom('standup')
  await tells(bob, 'no-room')
  await goesBack(bob)
  await bob.joins()
  await tells(bob, 'no-room')
  t.deepEqual(await bob.complaints(), [])
})

pageTest('a call goes on when its room is closed, until one alone is left', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.hasInside('Ann')
  const bob = await loopback.hasInside('Bob', ann)
  await ann.hasBadge('Bob', strings.badge.direct)
  const maker = await loopback.world.join('maker')
  await maker.closeRoom('standup')
  for (const page of [ann, bob]) await page.says(call.closed)
  await ann.saysNot(call.away)
  await bob.seesOthers(t)
  await bob.press(controls.leave)
  await tells(ann, 'no-room')
  await bob.says(over.left.title)
  await goesBack(bob)
  await bob.joins()
  await tells(bob, 'no-room')
  t.deepEqual([await ann.complaints(), await bob.complaints()], [[], []])
})

pageTest('a link that has expired leads to no room', async t => {
  await using loopback = await Loopback.open()
  const maker = await loopback.world.join('maker')
  const { link, expiresMs } = await maker.makeRoom('brief', { hours: 1 / 3600 })
  const page = await loopback.opens('Ann', {}, link)
  await until(() => Date.now() > expiresMs)
  await page.joins()
  await tells(page, 'no-room')
  t.deepEqual(await page.complaints(), [])
})

pageTest('whoever is turned away may ask once more, and whoever gives up waiting has left', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.hasInside('Ann')
  const bob = await loopback.opens('Bob')
  await bob.joins()
  await bob.says(strings.waiting.heading, strings.waiting.text(1))
  await ann.press(call.turnAway)
  await tells(bob, 'turned-away')
  await goesBack(bob)
  await bob.joins()
  await bob.press(strings.waiting.leave)
  await bob.says(over.left.title, over.left.text)
  await goesBack(bob)
  await bob.isLetIn(ann)
  await ann.says(call.people(2))
  t.deepEqual([await ann.complaints(), await bob.complaints()], [[], []])
})

pageTest('a gateway that cannot be reached is told, in the call too, which goes on', async t => {
  await using loopback = await Loopback.open()
  const { world } = loopback
  const ann = await loopback.hasInside('Ann')
  const bob = await loopback.hasInside('Bob', ann)
  const cid = await loopback.opens('Cid')
  await ann.hasBadge('Bob', strings.badge.direct)
  await world.gateway.close()
  await cid.joins()
  await tells(cid, 'gateway-unreachable')
  for (const page of [ann, bob]) await page.says(call.away)
  await bob.seesOthers(t)
  await world.start()
  await ann.saysNot(call.away)
  await goesBack(cid)
  await cid.joins()
  await cid.says(strings.waiting.heading)
})

for (const [problem, name] of [
  ['missing', 'NotFoundError'],
  ['busy', 'NotReadableError'],
  ['system', 'NotAllowedError', 'Permission denied by system']
] as const satisfies readonly (readonly [DeviceProblem, string, string?])[])
  pageTest(`${name} of the browser is told as "${devices[problem].title}", and one joins without`, async t => {
    await using loopback = await Loopback.open()
    const message = name === 'NotAllowedError' ? 'Permission denied by system' : ''
    const ann = await loopback.opens('Ann', {
      before: `MediaDevices.prototype.getUserMedia = async () => { throw new DOMException('${message}', '${name}') }`
    })
    await isWithout(t, loopback, ann, problem)
  })

pageTest('permission that is denied is told, and one joins without', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.opens('Ann', { permissions: [] })
  await isWithout(t, loopback, ann, 'denied')
})

async function isWithout(t: ExecutionContext, loopback: Loopback, ann: OwnPage, problem: DeviceProblem) {
  const { title, text } = devices[problem]
  await ann.press(lobby.useBoth)
  await ann.says(title, text, devices.without)
  await ann.press(devices.again)
  await ann.says(title)
  await ann.joins()
  await ann.isInside()
  const bob = await loopback.hasInside('Bob', ann)
  await bob.tileSays('Ann', call.noPicture)
  await bob.tileSays('Ann', call.muted)
  await ann.seesOthers(t)
  // In the call it is told as well.
  for (const control of [controls.cameraOn, controls.unmute]) {
    await ann.press(control)
    await ann.says(`${title}. ${text}`)
    await ann.press(devices.dismiss)
  }
  t.deepEqual(await ann.complaints(), [])
}

pageTest('where there is a microphone alone, that is taken', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.opens('Ann', {
    before: `const get = MediaDevices.prototype.getUserMedia
      MediaDevices.prototype.getUserMedia = async function (wanted) {
        if (wanted.video) throw new DOMException('', 'NotFoundError')
        return await get.call(this, wanted)
      }`
  })
  await ann.press(lobby.useBoth)
  await ann.says(lobby.noPicture)
  await ann.joins()
  await ann.isInside()
  const bob = await loopback.hasInside('Bob', ann)
  await bob.tileSays('Ann', call.noPicture)
  await bob.tileSays('Ann', call.muted, false)
  await bob.run(
    'await tools.until("sound", async () => (await tools.received()).some(({ samples }) => samples > 12000))'
  )
  t.deepEqual(await ann.complaints(), [])
})

pageTest('a camera that is unplugged in the call gives way to another one, or is told', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.hasInside('Ann')
  const bob = await loopback.hasInside('Bob', ann)
  // What the browser tells where a device is gone.
  const unplug = `document.querySelector('.own video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))`
  await bob.seesOthers(t)
  await ann.run(unplug)
  await ann.says(devices.switched.camera('').split(';')[0] ?? '')
  await bob.seesOthers(t)
  await bob.tileSays('Ann', call.noPicture, false)
  await ann.run(
    `navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError') }\n${unplug}`
  )
  await ann.says(devices.unplugged.camera)
  await bob.tileSays('Ann', call.noPicture)
  t.deepEqual(await ann.complaints(), [])
})

for (const [what, before] of [
  ['Promise.withResolvers', 'delete Promise.withResolvers'],
  [
    'Ed25519',
    `const get = SubtleCrypto.prototype.importKey
    SubtleCrypto.prototype.importKey = async function (...given) {
      if (given[2] === 'Ed25519') throw new DOMException('Unrecognized name.', 'NotSupportedError')
      return await get.apply(this, given)
    }`
  ]
] as const)
  pageTest(`a browser without ${what} is told that it is too old`, async t => {
    await using loopback = await Loopback.open()
    const page = await loopback.opens('Ann', { before })
    if (what === 'Ed25519') await page.joins()
    await tells(page, 'old')
    t.deepEqual(await page.complaints(), [])
  })

pageTest('a browser without connections to others is told so', async t => {
  await using loopback = await Loopback.open()
  const page = await loopback.opens('Ann', { before: 'delete globalThis.RTCPeerConnection' })
  await tells(page, 'webrtc')
  t.deepEqual(await page.complaints(), [])
})
