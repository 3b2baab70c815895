import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import type { Door } from '../../../src/peer/doors/door.ts'
import { type Around, DoorWatch } from '../../../src/peer/doors/watch.ts'
import { House, key } from '../../gateway/doors/house.ts'
import { until } from '../../until.ts'

const proof = { username: 's:s:caller', key }
const closed: Door = { kind: 'tcp', host: '127.0.0.1', port: 9 }

function watching(doors: readonly Door[]) {
  const over = new AbortController()
  const told: Around[] = []
  const blocked = (around: Around) => void told.push(around)
  return { told, over, watch: new DoorWatch(proof, { doors: () => doors, blocked, signal: over.signal }) }
}

const tcpOf = ({ tcpPort }: House): Door => ({ ...closed, port: tcpPort }) as Door
const webSocketOf = ({ webSocketUrl }: House): Door => ({ kind: 'websocket', url: webSocketUrl })

test('where UDP stays silent and a door answers, it is told once, with that door and those behind it', async t => {
  await using house = await House.open()
  const { told, watch } = watching([tcpOf(house), webSocketOf(house)])
  watch.silent()
  await until(() => told.length === 1)
  t.like(told[0], { doors: ['tcp', 'websocket'] })
  t.true(watch.isTold)
  watch.silent()
  t.like(await watch.answer(), { doors: ['tcp', 'websocket'] })
  t.is(told.length, 1)
  t.is(house.doors.counters.tcp.opened, 1, 'and no door is asked again so soon')
})

test('a door that does not answer is not told', async t => {
  await using house = await House.open()
  const { told, watch } = watching([closed, webSocketOf(house)])
  watch.silent()
  await until(() => told.length === 1)
  t.like(told[0], { doors: ['websocket'] })
})

test('where UDP is answered after all nothing is told', async t => {
  await using house = await House.open()
  const { told, watch } = watching([tcpOf(house)])
  watch.silent()
  await until(() => house.doors.counters.tcp.opened === 1)
  watch.heard()
  await watch.answer()
  await sleep(400) // longer than it would have waited
  t.deepEqual(told, [])
})

test('once the gateway knows that UDP is answered, a later silence is told again', async t => {
  await using house = await House.open()
  const { told, watch } = watching([tcpOf(house)])
  watch.silent()
  await until(() => told.length === 1)
  watch.warmed()
  t.false(watch.isTold)
  watch.silent()
  await until(() => told.length === 2)
  t.pass()
})

test('where no door opens it says what each said, and there may be none at all', async t => {
  const { told, watch } = watching([closed])
  watch.silent()
  t.regex(String(await watch.answer()), /^no door of its relay opens: TCP 127\.0\.0\.1:9 \(ECONNREFUSED\)$/)
  const { watch: without } = watching([])
  without.silent()
  t.is(await without.answer(), '')
  t.deepEqual(told, [])
})
