// What a page sends in a call, through a relay that lets little through: real Chromium in the laboratory. How well it does over a
// minute, and beside a browser that is left alone, is measured by bench/relayed-call.ts.

import type { Budget } from '../../src/call/sending/policy.ts'
import { openRig, type RigPeer } from '../lab/rig.ts'
import { until } from '../until.ts'
import { called, calling, gets } from './calling.ts'
import { browserTest, config, nat, opened } from './web.ts'

type Encodings = Readonly<Record<'audio' | 'video', RTCEncoding>>
type RTCEncoding = { readonly maxBitrate: number; readonly maxFramerate?: number; readonly active: boolean }
type Timed<What> = readonly (readonly [atMs: number, what: What])[]

browserTest(
  'a relayed call keeps to what passes, and to half of it at once when that is cut',
  ['chromium'],
  async t => {
    const strategies = '[{ relay: { perSession: 500 kbit/s, perPeer: 500 kbit/s } }]'
    await using rig = await openRig({ sites: [{ nat }, { nat }], strategies, config, verify: false })
    const [, node] = rig.peers as [RigPeer, RigPeer]
    await using caller = await opened(rig, 0, 'chromium', { tools: calling })
    await using callee = await opened(rig, 1, 'chromium', { tools: calling })
    await called(caller, callee, { isManaged: true, width: 640, height: 480 })
    for (const web of [caller, callee]) {
      const { audio, video } = (await web.run('return encodings()')) as Encodings
      t.like(audio, { maxBitrate: 32_000, active: true, priority: 'high' })
      // Less where the laboratory is so busy that packets were lost by now.
      const { active, maxFramerate = 30, maxBitrate } = video
      t.true(active && maxFramerate <= 24 && maxBitrate < 0.8 * 500_000 - 32_000, JSON.stringify(video))
    }

    await caller.run('await floods(given.to)', { to: node.name })
    const { heard, budgets } = await until(async () => {
      const told = (await caller.run('return { heard, budgets }')) as { heard: Timed<number>; budgets: Timed<Budget> }
      return told.heard.some(([, bitsPerSecond]) => bitsPerSecond === 250_000) && told
    })
    const [cutMs = 0] = heard.find(([, bitsPerSecond]) => bitsPerSecond === 250_000) ?? []
    const [appliedMs, { picture }] = budgets.find(([atMs]) => atMs >= cutMs - 100) as [number, Budget]
    t.true(Math.abs(appliedMs - cutMs) < 100, `${appliedMs - cutMs} ms`)
    t.true(onTheWay(picture) < 0.8 * 250_000, JSON.stringify(picture))
    t.true(((await caller.run('return encodings()')) as Encodings).video.maxBitrate <= picture.bitsPerSecond)
    const comes = await until(() => callee.run('return heard.at(-1)?.[2] === 250000') as Promise<boolean>)
    t.true(comes, 'the other side is told, too')

    const { gapMs, frames } = await gets(callee, 4000)
    t.true(gapMs < 1000 && frames > 10, `${frames} frames, ${gapMs} ms without one`)
    await caller.run('await shows(322, 200)')
    t.is(await callee.run('return await comesAs(connection, 322)'), true, 'another picture in its place')
  }
)

const onTheWay = ({ bitsPerSecond }: Budget['picture']): number => bitsPerSecond + 24_000
