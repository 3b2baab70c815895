// Pages with a camera and a microphone of the browser's own: what they send is seen and heard, in Node and in other pages.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child, postern } from '../../examples/child.ts'
import { ffmpegCommand, pictureArgs } from '../cli/ffmpeg.ts'
import { drop } from '../lab/drop.ts'
import { openRig, type RigPeer } from '../lab/rig.ts'
import { equipped, FRAMES, filming, isSeen, SAMPLES, sees } from './film.ts'
import type { Seen } from './media.ts'
import { bothPaths, browserTest, config, nat, RELAY } from './web.ts'

for (const kind of ['chromium', 'firefox'] as const)
  browserTest(`what ${kind} films goes to a peer in Node and back, directly and through the relay`, [kind], async t => {
    for (const [strategies, path] of bothPaths) {
      await using rig = await openRig({ strategies, config, sites: [{ nat }, { nat }], verify: false })
      const [, node] = rig.peers as [RigPeer, RigPeer]
      await using web = await equipped(rig, 0, kind)
      await web.connect(node.name, 10)
      await filming(web)
      const { width } = await isSeen(t, web)
      t.is(width, 320, path)
      t.deepEqual(await web.run('return connection.tracks.map(({ kind, codec }) => [kind, codec]).sort()'), [
        ['audio', 'opus'],
        ['video', 'vp8']
      ])
      // A browser that nobody tells what has come stays at 300 kbit/s; Firefox does not say what it aims at.
      const aims = `for (const till = performance.now() + 10000; performance.now() < till; await new Promise(resolve => setTimeout(resolve, 50)))
        for (const pc of all) for (const [, one] of await pc.getStats()) if (one.targetBitrate > 4e5) return true
        return false`
      if (kind === 'chromium') t.true((await web.run(aims)) as boolean, 'it aims at more than 400 kbit/s')
      const ended = `const over = Promise.all(connection.tracks.map(track => new Promise(resolve => track.once('end', resolve))))
        for (const track of sent) track.end()
        await over
        return connection.tracks.length`
      t.is(await web.run(ended), 0)
    }
  })

browserTest('two pages in two browsers see and hear each other', ['chromium', 'firefox'], async t => {
  for (const strategies of ['[direct, stun]', `[${RELAY}]`]) {
    await using rig = await openRig({ strategies, config, sites: [{ nat }, { nat }], verify: false })
    await using one = await equipped(rig, 0, 'chromium')
    await using other = await equipped(rig, 1, 'firefox')
    await one.connect(other.name, 10)
    await filming(one)
    await other.run('view(accepted); await film(accepted)')
    for (const web of [one, other]) {
      await isSeen(t, web)
    }
  }
})

browserTest('a picture goes on over the relay when its direct path is cut', ['chromium'], async t => {
  const strategies = `[direct, stun, ${RELAY}]`
  await using rig = await openRig({ strategies, config, sites: [{ nat }, { nat }], verify: false })
  const [, node] = rig.peers as [RigPeer, RigPeer]
  await using web = await equipped(rig, 0, 'chromium')
  await web.connect(node.name, 10)
  await filming(web)
  const before = await sees(web, { frames: FRAMES, samples: SAMPLES })
  const moved = web.run(
    `return await new Promise(resolve => connection.on('path', ({ what, path }) => what === 'moved' && resolve(path.kind)))`
  )
  const [box] = rig.world.sites[1]?.boxes ?? []
  if (!box) return t.fail()
  await using _cut = await drop(box, `ip saddr ${rig.world.sites[0]?.publicAddresses[0]} meta l4proto udp`)
  t.is(await moved, 'relay')
  const { shown } = (await web.run('return await seen()')) as Seen
  const after = await sees(web, { shown: shown + FRAMES })
  t.true(before.frames >= FRAMES && after.shown >= shown + FRAMES, JSON.stringify([before, shown, after]))
})

browserTest(
  'a camera behind the NAT of a carrier, which ffmpeg films with, is seen in a page',
  ['chromium'],
  async t => {
    const sites = [{ nat }, { nat: 'carrier' as const }]
    await using rig = await openRig({ strategies: '[direct, stun]', config, sites, verify: false })
    const [, host] = rig.world.sites.map(({ hosts }) => hosts[0])
    if (!host) return t.fail()
    const folder = await mkdtemp(join(tmpdir(), 'postern-camera-'))
    t.teardown(() => rm(folder, { recursive: true }))
    await using web = await equipped(rig, 0, 'chromium')
    const env = { ...process.env, POSTERN_GATEWAY: rig.door.url, POSTERN_TOKEN: rig.door.token, POSTERN_HOME: folder }
    const start = (argv: readonly string[]) => new Child(host.spawn(argv, { stdio: 'pipe', env }))
    const how = `camera pi --insecure --json --rtp 127.0.0.1:5004 --allow ${web.name}`.split(' ')
    await using pi = start([...postern, ...how])
    await pi.event('joined')
    await using _picture = start(ffmpegCommand(pictureArgs('h264', 5004)))
    const watches = `globalThis.connection = await peer.connect({ name: 'pi' })
    view(connection)
    globalThis.watching = await connection.open('watch')`
    await web.run(watches)
    const seen = await sees(web, { frames: FRAMES, shown: FRAMES })
    t.true(seen.shown >= FRAMES && seen.width === 320, JSON.stringify(seen))
    t.deepEqual(await web.run('return connection.tracks.map(({ codec }) => codec)'), ['h264'])
    await web.run('await watching.writable.close()')
    t.like(await pi.event('left'), { peer: web.name })
  }
)
