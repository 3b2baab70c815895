import test from 'ava'
import { parseRoomLink } from '../../src/wire/room/link.ts'
import { World } from './world.ts'

test.serial('room prints a link and until when it is good, makes it anew, and closes it', async t => {
  await using world = await World.withGateway('call: { enabled: true }')
  const made = await world.run(['room', 'standup', '--hours', '0.5'])
  t.is(made.code, 0, made.stderr)
  const [, link = '', until = ''] = made.lines
  t.like(parseRoomLink(link), { gateway: world.url, name: 'standup' })
  const [, day, minute] = /^good until ([\d-]+) ([\d:]+) UTC$/.exec(until) ?? []
  t.true(Math.abs(Date.parse(`${day}T${minute}Z`) - Date.now() - 1_800_000) < 120_000, until)
  const again = await world.run(['room', 'standup', '--json'])
  t.is(again.code, 0, again.stderr)
  const event = again.events.at(-1)
  t.deepEqual(Object.keys(event ?? {}), ['event', 'name', 'link', 'expiresMs'])
  t.like(event, { event: 'room', name: 'standup' })
  t.not(parseRoomLink(String(event?.link)).secret, parseRoomLink(link).secret)
  const foreign = await world.run(['room', 'standup'], { who: 'mallory' })
  t.is(foreign.code, 1)
  t.regex(foreign.stderr, /postern: name-taken: a room called standup is open that another certificate made/)
  t.regex((await world.run(['room', 'standup', '--close'], { who: 'mallory' })).stderr, /postern: no-room: /)
  const closed = await world.run(['room', 'standup', '--close'])
  t.is(closed.lines.at(-1), 'standup is closed')
  t.regex((await world.run(['room', 'standup', '--close'])).stderr, /postern: no-room: /)
})

test.serial('room says what is wrong: hours, both options, and a gateway without rooms', async t => {
  await using world = await World.withGateway()
  for (const argv of [
    ['--hours', '0'],
    ['--hours', 'x'],
    ['--hours', '169'],
    ['--hours', '1', '--close']
  ])
    t.regex((await world.run(['room', 'standup', ...argv])).stderr, /postern: bad-config: /, argv.join(' '))
  t.regex((await world.run(['room', 'a/b'])).stderr, /postern: bad-config: /)
  t.regex((await world.run(['room', 'standup'])).stderr, /postern: no-room: this gateway has no rooms; /)
})
