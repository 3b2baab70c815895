import test from 'ava'
import { World } from './world.ts'

test('a gateway that others can reach over UDP takes the token on loopback too, for a proxy may stand there', async t => {
  const answers = async (udp: string, admin = '') => {
    await using world = await World.open()
    const yaml = `listen: { http: '127.0.0.1:0', udp: { addresses: [${udp}], ports: [0, 0] } }\n${admin}`
    const child = world.start(['gateway', '--config', await world.write('some.yaml', yaml), '--json'])
    const { http, open } = await child.event('listening')
    const { status } = await fetch(`http://${http}/api/status`)
    return [open, status]
  }
  t.deepEqual(await answers('0.0.0.0'), [false, 401])
  t.deepEqual(await answers('127.0.0.1'), [true, 200])
  t.deepEqual(await answers('127.0.0.1', 'admin: { open: never }'), [false, 401])
})
