// The instrument itself: what it counts as new, that each fault does what it says, and that what it prints fits a terminal.

import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { until } from '../../until.ts'
import { labTest } from '../lab-test.ts'
import { tool } from '../sandbox.ts'
import type { Host } from '../world.ts'
import {
  becomeEasy,
  blocksUdp,
  cutBothWays,
  forgets,
  gatewayDies,
  gatewayReturns,
  mends,
  moves,
  narrows,
  sleeps,
  wakes
} from './acts.ts'
import { type Arrival, flowsAgainAt, longestPause } from './arrivals.ts'
import { type Commands, type Ground, openGround } from './ground.ts'
import { firstWrong, numbered } from './numbers.ts'
import { headLine, linesOf } from './print.ts'
import type { Row } from './row.ts'
import { chosen, summaryOf } from './run.ts'
import { rows } from './table.ts'
import { tryRow } from './trial.ts'

test('numbered bytes are the same from wherever one begins', t => {
  const all = numbered(0, 100)
  for (const offset of [0, 1, 2, 3, 4, 37]) t.deepEqual(numbered(offset, 20), all.subarray(offset, offset + 20))
})

test('the first byte that is lost, repeated or damaged is found, and no other', t => {
  const right = numbered(10, 40)
  t.is(firstWrong(10, right), undefined)
  t.is(firstWrong(10, Buffer.concat([right.subarray(0, 5), right.subarray(6)])), 15)
  t.is(firstWrong(10, Buffer.concat([right.subarray(0, 8), right.subarray(4)])), 18)
  t.is(firstWrong(10, Buffer.from(right.map((byte, at) => (at === 7 ? byte ^ 1 : byte)))), 17)
})

/** Something every 10 ms, in each of these stretches. */
const every10 = (...stretches: readonly (readonly [number, number])[]): Arrival[] =>
  stretches
    .flatMap(([from, to]) => Array.from({ length: (to - from) / 10 + 1 }, (_, at) => from + at * 10))
    .map((atMs, at) => ({ atMs, bytes: at + 1 }))

test('a stream that never stops flows from the fault on, once it is sure that no pause begins', t => {
  const arrivals = every10([0, 9000])
  t.is(flowsAgainAt(arrivals, 1000, 2900), undefined)
  t.is(flowsAgainAt(arrivals, 1000, 3100), 1000)
  t.is(longestPause(arrivals, 1000, 9000), 10)
})

test('what was on its way at the fault is not new: the first byte behind the pause is', t => {
  const arrivals = every10([0, 1080], [4500, 9000])
  t.is(flowsAgainAt(arrivals, 1000, 4400), undefined)
  t.is(flowsAgainAt(arrivals, 1000, 6000), undefined)
  t.is(flowsAgainAt(arrivals, 1000, 6600), 4500)
  t.is(longestPause(arrivals, 1000, 9000), 3420)
})

test('a pause that begins late belongs to the fault, and bytes of a buffer before another pause are no stream', t => {
  t.is(flowsAgainAt(every10([0, 2500], [5000, 9000]), 1000, 9000), 5000)
  t.is(flowsAgainAt(every10([0, 1000], [1500, 1600], [4000, 9000]), 1000, 9000), 4000)
})

test('a stream that is over does not flow', t => {
  t.is(flowsAgainAt(every10([0, 1000]), 1000, 60_000), undefined)
  t.is(flowsAgainAt(every10([0, 1000], [1500, 2000]), 1000, 60_000), undefined)
})

const [some] = rows as [Row]
const row: Row = { ...some, goal: { medianMs: 2000, worstMs: 5000 } }

test('a row is judged by its median and by its worst trial, and by none that was left out', t => {
  const of = (...ms: (number | undefined)[]) =>
    summaryOf({ row, wanted: 4, outcomes: ms.map(one => (one === undefined ? { failed: 'lost' } : { ms: one })) })
  t.like(of(1000, 1500, 2500, 5000), { medianMs: 2000, worstMs: 5000, isMet: true })
  t.like(of(1000, 1500, 2501, 5000), { isMet: false })
  t.like(of(1000, 1000, 1000, 5001), { isMet: false })
  t.like(of(1000, 1000, 1000), { isMet: false })
  const lost = of(1000, 1000, 1000, undefined)
  t.like(lost, { healed: 3, medianMs: 1000, worstMs: undefined, isMet: false })
  t.deepEqual([...lost.failures], [['lost', 1]])
})

test('every row is asked for by its word alone, several by what they have in common, and none by another', t => {
  t.is(new Set(rows.map(({ word }) => word)).size, rows.length)
  for (const row of rows) t.deepEqual(chosen([row.word]), [row])
  t.deepEqual(chosen([]), rows)
  t.true(chosen(['MTU']).length > 16)
  t.throws(() => chosen(['nat-forgets', 'nonsense']), { message: /no fault is called "nonsense"/ })
})

test('the table fits 80 columns, whatever is found', t => {
  const reason = 'the connection to peer bob was lost, and with it all that was on its way (after 75 s)'
  const found = [{ ms: 99_999, pauseMs: 99_999 }, { failed: reason }, { failed: reason }]
  const lines = rows
    .flatMap(row => linesOf({ row, wanted: 10, outcomes: found }))
    .join('\n')
    .split('\n')
  t.deepEqual(
    [headLine, ...lines].filter(line => line.length > 80),
    []
  )
  t.is(lines.filter(line => line.startsWith('!')).length, rows.length)
})

const program = (name: string) => fileURLToPath(new URL(`programs/${name}`, import.meta.url))
const PORT = '4000'

/** TCP, called by its address: the callee's host has a public one. */
const tcp: Commands = {
  receiver: () => [process.execPath, program('tcp.ts'), 'listen', PORT],
  sender: ({ world }) => {
    const [address = ''] = world.sites[1]?.hosts[0]?.addresses ?? []
    return [process.execPath, program('tcp.ts'), 'connect', address, PORT]
  }
}
const trying = { bytesPerSecond: 2_000_000, commands: tcp }
const plain: Row = { ...row, nats: ['port-restricted', 'open'], begins: 'direct', measure: 'new byte' }

labTest('a sender that is stopped for a second and a half is silent for as long, and all of it arrives', async t => {
  const lastsMs = 1500
  const stopped: Row = {
    ...{ ...plain, lastsMs },
    fault: ({ caller }) => sleeps(caller),
    end: ({ caller }) => wakes(caller)
  }
  const { ms = Number.NaN, pauseMs = Number.NaN, failed } = await tryRow(stopped, 0, trying)
  t.is(failed, undefined)
  t.true(pauseMs > lastsMs - 100, `${pauseMs}`)
  t.true(ms < lastsMs, `${ms}: it is counted from the end`)
})

labTest('a cut is a pause, TCP gets over it once it is mended, and not a byte is lost', async t => {
  const cut: Row = { ...plain, fault: cutBothWays, end: mends, lastsMs: 1000 }
  const { pauseMs = Number.NaN, failed } = await tryRow(cut, 0, trying)
  t.is(failed, undefined)
  t.true(pauseMs >= 950, `${pauseMs}`)
})

labTest('a NAT that forgets resets TCP, and the trial says so', async t => {
  const forgotten: Row = { ...plain, fault: ({ caller }) => forgets(caller) }
  const { ms, failed } = await tryRow(forgotten, 0, trying)
  t.is(ms, undefined)
  t.regex(failed ?? '', /ECONNRESET|EPIPE/)
})

interface Asked {
  readonly came: boolean
  readonly seen?: number
  readonly mtu?: number
}

/** Two NATs, and in the gateway's place what answers with datagrams of any size. */
async function openPlain(): Promise<{
  ground: Ground
  ask: (from: Host, out: number, back: number) => Promise<Asked>
}> {
  const ground = await openGround({ nats: ['port-restricted', 'port-restricted'], commands: tcp })
  const { gateway } = ground.world
  const [address = ''] = gateway.addresses
  const child = gateway.spawn([tool('python3'), program('sizes.py'), 'answer', address, PORT], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  const ask = async (from: Host, out: number, back: number) => {
    const argv = ['ask', address, PORT, '4001', `${out}`, `${back}`]
    const { stdout } = await from.run([tool('python3'), program('sizes.py'), ...argv])
    return JSON.parse(stdout)
  }
  return { ground, ask }
}

const narrowings = [
  { where: 'outwards', ways: 'one', nth: 0, out: false, into: true },
  { where: 'inwards', ways: 'one', nth: 1, out: true, into: false },
  { where: 'both ways', ways: 'both', nth: 0, out: false, into: false }
] as const

for (const { where, ways, nth, out, into } of narrowings)
  for (const icmp of [true, false])
    labTest(`an MTU of 1200, ${where}, is exact, and ${icmp ? 'told of' : 'silent'}`, async t => {
      const { ground, ask } = await openPlain()
      await using _ = ground
      const { host } = ground.caller
      t.like(await ask(host, 1500, 1500), { came: true })
      await narrows(ground, { mtu: 1200, ways, icmp }, nth)
      t.like(await ask(host, 1200, 1200), { came: true })
      const larger = await ask(host, 1201, 100)
      t.is(larger.came, out)
      t.is(larger.mtu, icmp && !out ? 1200 : undefined)
      t.is((await ask(host, 100, 1201)).came, into)
    })

labTest(
  'a NAT that forgets gives another port, a host that moves is still served, and blocked UDP is silence',
  async t => {
    const { ground, ask } = await openPlain()
    await using _ = ground
    const { caller, callee } = ground
    t.is((await ask(caller.host, 100, 100)).seen, 4001)
    await forgets(caller)
    const { came, seen } = await ask(caller.host, 100, 100)
    t.true(came)
    t.not(seen, 4001)
    await moves(callee)
    const { stdout } = await callee.host.run([tool('ip'), '-o', '-4', 'address', 'show', 'dev', 'eth0'])
    t.false(stdout.includes(` ${callee.host.addresses[0]}/`), stdout)
    t.like(await ask(callee.host, 100, 100), { came: true })
    await blocksUdp(callee)
    t.deepEqual(await ask(callee.host, 100, 100), { came: false })
  }
)

const scattering = { nats: ['symmetric-random', 'symmetric-random'] } as const

labTest('NATs that become easy let a pair meet that was relayed, and the gateway that returns is the same', async t => {
  await using ground = await openGround(scattering)
  await gatewayDies(ground)
  await becomeEasy(ground)
  await gatewayReturns(ground)
  t.is((await ground.connect()).kind, 'direct')
  await gatewayDies(ground)
  await gatewayReturns(ground)
  const { event } = await ground.callee.end.do('event', { name: 'rejoined', waitMs: 30_000 })
  t.is(event.name, 'bob')
})

labTest('two NATs that scatter are relayed, and the kernel counts nothing of the bulk between them', async t => {
  await using ground = await openGround(scattering)
  t.is((await ground.connect()).kind, 'relay')
  const { caller, callee } = ground
  await caller.end.do('feed', { bytesPerSecond: 2_000_000 })
  const bytes = 500_000
  await until(async () => (await callee.end.do('received', {})).bytes > bytes, 20_000)
  t.true((await caller.site.sentTo(callee.site)).bytes < bytes / 10)
})

labTest('a bulk that goes from NAT to NAT is counted as direct, and all of it is whole', async t => {
  const [back] = chosen(['back-both-ways'])
  const stopped: Row = {
    ...{ ...(back as Row), lastsMs: 500 },
    fault: ({ caller }) => sleeps(caller),
    end: ({ caller }) => wakes(caller)
  }
  const { ms, failed } = await tryRow(stopped, 0, { bytesPerSecond: 2_000_000 })
  t.is(failed, undefined)
  t.true(ms !== undefined && ms < 10_000, `${ms}`)
})
