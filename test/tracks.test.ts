// Audio and video between two peers behind real NATs: directly, and through the relay, and what ffmpeg films behind a carrier's NAT.

import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { Child, postern } from '../examples/child.ts'
import { decodeArgs, ffmpegCommand, PICTURE_BYTES, pictureArgs } from './cli/ffmpeg.ts'
import { endNative } from './end-native.ts'
import { labTest } from './lab/lab-test.ts'
import { openRig, type RigPeer } from './lab/rig.ts'
import type { Host } from './lab/world.ts'
import { until } from './until.ts'

test.after.always(endNative)

/** The largest that fits into the smallest packets that paths are made with (src/wire/packet-size.ts). */
const bytes = 1_056
/** Of each. A busy computer may lose some, which nobody sends again. */
const packets = 300

for (const [strategies, path] of [
  ['[direct, stun]', { by: 'stun', kind: 'direct' }],
  ['[relay: { perSession: 20 Mbit/s }]', { by: 'relay', kind: 'relay' }]
] as const)
  labTest(`audio and video go from behind one NAT to behind another and back, by ${path.by}`, async t => {
    const sites = [{ nat: 'port-restricted' as const }, { nat: 'port-restricted-moved' as const }]
    await using rig = await openRig({ sites, strategies, verify: false })
    const [a, b] = rig.peers as [RigPeer, RigPeer]
    const filmed = await a.process.do('film', { to: b.name, packets, bytes })
    t.like(filmed.path, path)
    for (const came of Object.values(filmed.back)) t.true(came >= packets * 0.95, `${came} of ${packets}`)
  })

labTest(
  'what ffmpeg sends to a camera behind the NAT of a carrier is decoded by ffmpeg behind another one',
  async t => {
    const sites = [{ nat: 'carrier' as const }, { nat: 'port-restricted' as const }]
    await using rig = await openRig({ sites, strategies: '[direct, stun, relay]', verify: false })
    const folder = await mkdtemp(join(tmpdir(), 'postern-camera-'))
    t.teardown(() => rm(folder, { recursive: true }))
    const [film, view] = rig.world.sites.map(({ hosts }) => hosts[0]) as [Host, Host]
    const env = {
      ...{ PATH: process.env.PATH, POSTERN_GATEWAY: rig.door.url, POSTERN_TOKEN: rig.door.token },
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE
    }
    const start = (host: Host, argv: readonly string[], who = '') =>
      new Child(host.spawn(argv, { stdio: 'pipe', env: { ...env, POSTERN_HOME: join(folder, who) } }))
    await using pi = start(
      film,
      [...postern, ...'camera pi --insecure --json --rtp 127.0.0.1:5004 --allow alice'.split(' ')],
      'pi'
    )
    await pi.event('joined')
    await using _picture = start(film, ffmpegCommand(pictureArgs('h264', 5004)))
    const sdp = join(folder, 'pi.sdp')
    const how = `watch pi --insecure --name alice --json --rtp 127.0.0.1:5006 --sdp ${sdp}`.split(' ')
    await using watching = start(view, [...postern, ...how], 'alice')
    t.like(await watching.event('path'), { kind: 'direct' })
    await until(async () => /m=video/.test(await readFile(sdp, 'utf8').catch(() => '')), 5_000)
    const frames = join(folder, 'frames')
    await using player = start(view, ffmpegCommand(decodeArgs(sdp, 25, frames)))
    t.is(await player.ended, 0, player.stderr)
    t.is((await stat(frames)).size, 25 * PICTURE_BYTES)
  }
)
