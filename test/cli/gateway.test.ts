import test from 'ava'
import { World } from './world.ts'

test('a gateway that others can reach, but for its HTTP, says that a proxy in front of it may need a word', async t => {
  const noted = async (udp: string, admin = '') => {
    await using world = await World.open()
    const yaml = `listen: { http: '127.0.0.1:0', udp: { addresses: [${udp}], ports: [0, 0] } }\n${admin}`
    const child = world.start(['gateway', '--config', await world.write('some.yaml', yaml), '--json'])
    const { warnings } = await child.event('listening')
    return (warnings as string[]).filter(warning => /admin\.open: never/.test(warning)).length
  }
  t.is(await noted('0.0.0.0'), 1)
  t.is(await noted('127.0.0.1'), 0)
  t.is(await noted('0.0.0.0', 'admin: { open: never }'), 0)
})
