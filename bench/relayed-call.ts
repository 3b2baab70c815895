// A call of two pages in Chromium through a relay that lets 500 kbit/s through in each direction: whether the picture freezes and how
// much of the sound is lost, with what a page sends kept to that (src/call/sending), and beside it with the browser left alone. Then the
// same while the caller's limit is cut to half, by a second relayed session of the caller, which takes all that it can get.
//
//   node bench/relayed-call.ts [--seconds 60] [--size 640x480] [--only steady|cut]

import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { called, calling, type Got, gets } from '../test/browser/calling.ts'
import { config, opened, type Web } from '../test/browser/page.ts'
import { openRig, type Rig, type RigPeer } from '../test/lab/rig.ts'
import { goal } from './means/figures.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    size: { type: 'string', default: '640x480' },
    only: { type: 'string' }
  }
})
const ms = Number(values.seconds) * 1000
const [width = 0, height = 0] = values.size.split('x').map(Number)

/** The picture's rate has settled by then. */
const SETTLE_MS = 5000

const limits = '[{ relay: { perSession: 500 kbit/s, perPeer: 500 kbit/s } }]'

for (const isCut of [false, true].filter(one => !values.only || values.only === (one ? 'cut' : 'steady')))
  for (const isManaged of [false, true]) {
    const [caller, callee] = await talk({ isManaged, isCut })
    const what = `${isCut ? 'cut to half, ' : ''}${isManaged ? 'kept to what passes' : 'the browser alone'}`
    print(`${what}: the callee got`, callee)
    print(`${what}: the caller got`, caller)
    if (!isManaged) continue
    goal(`${what}: longest time without a frame, ms`, Math.max(caller.gapMs, callee.gapMs), { atMost: 1000 })
    goal(`${what}: packets of sound lost, %`, 100 * Math.max(caller.lost, callee.lost), { atMost: 1 })
    goal(`${what}: samples of sound made up, %`, 100 * Math.max(caller.concealed, callee.concealed), { atMost: 1 })
  }

/** What the caller and the callee have got. */
async function talk({ isManaged, isCut }: { isManaged: boolean; isCut: boolean }): Promise<readonly [Got, Got]> {
  const sites = [{ nat: 'port-restricted' as const }, { nat: 'port-restricted' as const }]
  await using rig = await openRig({ sites, strategies: limits, config, verify: false })
  const [, node] = rig.peers as [RigPeer, RigPeer]
  await using caller = await page(rig, 0)
  await using callee = await page(rig, 1)
  await called(caller, callee, { isManaged, width, height })
  await sleep(SETTLE_MS)
  const cut = async () => {
    await sleep(ms / 4)
    if (isCut) await caller.run('await floods(given.to)', { to: node.name })
  }
  const [ofCaller, ofCallee] = await Promise.all([gets(caller, ms), gets(callee, ms), cut()])
  return [ofCaller, ofCallee]
}

function page(rig: Rig, site: number): Promise<Web> {
  return opened(rig, site, 'chromium', { tools: calling })
}

function print(
  what: string,
  { gapMs, frames, height, freezes, frozenMs, lost, concealed, bitsPerSecond, moves }: Got
): void {
  const picture = `longest gap ${gapMs} ms, ${freezes} freezes of ${frozenMs} ms in all, ${frames} frames, ${height}p at the end`
  const sound = `lost ${(100 * lost).toFixed(2)} %, made up ${(100 * concealed).toFixed(2)} %`
  console.log(`${what}: ${picture}; sound ${sound}; ${Math.round(bitsPerSecond / 1000)} kbit/s, ${moves} moves`)
}
