// `postern camera` and `postern watch` with ffmpeg at both ends.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { Child } from '../../examples/child.ts'
import { loadIdentity } from '../../src/peer/identity/identity.ts'
import { pinOf } from '../../src/wire/identity/fingerprint.ts'
import { rtp } from '../peer/connection/tracks/rtp.ts'
import { until } from '../until.ts'
import { decodeArgs, ffmpeg, ffmpegTest, freePorts, PICTURE_BYTES, pictureArgs, testTone } from './ffmpeg.ts'
import { World } from './world.ts'

const at = (port: number) => `127.0.0.1:${port}`

async function camera(world: World, port: number, more: readonly string[]): Promise<Child> {
  const child = world.start(['camera', 'pi', '--json', '--rtp', at(port), ...more], { who: 'pi' })
  await child.event('joined')
  return child
}

/** So many are decoded. */
const FRAMES = 25

for (const codec of ['h264', 'vp8'] as const)
  ffmpegTest(
    `a picture in ${codec} and a tone that ffmpeg sends are decoded by ffmpeg where they are watched`,
    async t => {
      await using world = await World.withGateway()
      const [video = 0, audio = 0, videoOut = 0, audioOut = 0] = await freePorts(4)
      const pi = await camera(world, video, ['--audio', at(audio), '--codec', codec, '--allow', 'alice'])
      await using _picture = ffmpeg(...pictureArgs(codec, video))
      await using _tone = testTone(audio)
      await until(() => pi.events.filter(({ event }) => event === 'source').length === 2, 10_000)
      const sdp = join(world.folder, 'pi.sdp')
      const targets = ['--rtp', at(videoOut), '--audio', at(audioOut), '--sdp', sdp]
      const watching = world.start(['watch', 'pi', '--name', 'alice', '--json', ...targets])
      await until(() => watching.events.filter(({ event }) => event === 'track').length === 2, 10_000)
      await until(async () => /m=audio/.test(await readFile(sdp, 'utf8').catch(() => '')), 5_000)
      const [frames, sound] = [join(world.folder, 'frames'), join(world.folder, 'sound')]
      await using player = ffmpeg(...decodeArgs(sdp, FRAMES, frames), '-map', '0:a', '-t', '1', '-f', 's16le', sound)
      t.is(await player.ended, 0, player.stderr)
      const picture = await readFile(frames)
      t.is(picture.length, FRAMES * PICTURE_BYTES)
      t.true(new Set(picture).size > 50, 'it is no grey area')
      t.true((await stat(sound)).size > 90_000, 'nearly a second of samples')
      t.like(await pi.event('watching'), { peer: 'alice' })
      watching.signal('SIGINT')
      t.is(await watching.ended, 130)
      t.like(await pi.event('left'), { peer: 'alice' })
      const done = watching.events.find(({ event }) => event === 'done') as { video?: { packets: number } } | undefined
      t.true((done?.video?.packets ?? 0) > FRAMES)
    }
  )

test.serial('a camera is shown to those that are named, by name or by fingerprint, and to nobody else', async t => {
  await using world = await World.withGateway()
  const [port = 0, out = 0] = await freePorts(2)
  const carol = await loadIdentity(join(world.folder, 'carol'))
  const pi = await camera(world, port, ['--allow', 'alice', '--allow', pinOf(carol.fingerprint)])
  for (const argv of [[], ['--name', 'mallory']]) {
    const refused = await world.run(['watch', 'pi', '--rtp', at(out), ...argv], { who: 'mallory' })
    t.is(refused.code, 1)
    t.regex(refused.stderr, /postern: io: peer pi: --allow names others, and not (guest-|mallory).*@[0-9a-f]{64}/)
  }
  t.like(await pi.event('failed'), { code: 'io' })
  const source = createSocket('udp4')
  const timer = setInterval(() => source.send(rtp({ sequence: 1 }), port, '127.0.0.1'), 20)
  for (const [who, argv] of [
    ['carol', []],
    ['alice', ['--name', 'alice']]
  ] as const) {
    const player = createSocket('udp4').bind(out, '127.0.0.1')
    const watching = world.start(['watch', 'pi', '--rtp', at(out), ...argv], { who })
    const [packet] = await once(player, 'message')
    t.is(packet.length, 200, who)
    watching.signal('SIGTERM')
    await watching.ended
    player.close()
  }
  clearInterval(timer)
  source.close()
})

test.serial('what comes from a second program, is no RTP, or does not fit is dropped, and said once', async t => {
  await using world = await World.withGateway()
  const [port = 0, out = 0] = await freePorts(2)
  const pi = await camera(world, port, ['--allow', 'alice'])
  const player = createSocket('udp4').bind(out, '127.0.0.1')
  let heard = 0
  player.on('message', () => heard++)
  const watching = world.start(['watch', 'pi', '--rtp', at(out), '--name', 'alice', '--json'])
  await pi.event('watching')
  const [first, second] = [createSocket('udp4'), createSocket('udp4')]
  const send = (socket: typeof first, packet: Buffer) =>
    new Promise<void>(resolve => socket.send(packet, port, '127.0.0.1', () => resolve()))
  await send(first, rtp({ sequence: 0 }))
  await until(() => heard === 1, 5_000)
  for (let round = 0; round < 2; round++) {
    await send(first, Buffer.from('no RTP at all'))
    await send(second, rtp({ sequence: 7 }))
    await send(first, rtp({ bytes: 1472 }))
  }
  await send(first, rtp({ sequence: 2 }))
  await until(() => heard === 2, 5_000)
  const dropped = pi.events.filter(({ event }) => event === 'dropped').map(({ why }) => why)
  t.deepEqual(dropped.sort(), ['not-rtp', 'other-source', 'too-large'])
  t.is(heard, 2)
  // The first one sends no more, so the second one is heard.
  await until(async () => {
    await send(second, rtp({ sequence: 8 }))
    return heard > 2
  }, 10_000)
  t.is(pi.events.filter(({ event }) => event === 'source').length, 2)
  watching.signal('SIGTERM')
  await watching.ended
  for (const socket of [first, second, player]) socket.close()
})

test.serial('what cannot be is refused with what could', async t => {
  await using world = await World.withGateway()
  const [port = 0] = await freePorts(1)
  const taken = createSocket('udp4').bind(port, '127.0.0.1')
  await once(taken, 'listening')
  const allow = ['--allow', 'alice']
  for (const [argv, words] of [
    [
      ['camera', 'pi', '--rtp', at(port)],
      /bad-config: a camera shows itself to nobody but those that --allow names; see --help/
    ],
    [['camera', 'pi', ...allow], /bad-config: required option '--rtp <address:port>' not specified/],
    [
      ['camera', 'pi', '--rtp', '0.0.0.0:5004', ...allow],
      /bad-config: .*Expected a loopback address and a port such as 127\.0\.0\.1:5004/
    ],
    [['camera', 'pi', '--rtp', '5004', ...allow], /bad-config: .*Expected a loopback address/],
    [['camera', 'pi', '--rtp', at(port), '--codec', 'av1', ...allow], /bad-config: .*Allowed choices are h264, vp8/],
    [
      ['camera', 'pi', '--rtp', at(port), '--allow', 'a b'],
      /bad-config: .*"a b" is no name for a peer.*or a fingerprint/
    ],
    [['camera', 'pi', '--rtp', at(port), ...allow], /port-in-use: UDP 127\.0\.0\.1:\d+ is taken by another program/],
    [['watch', 'pi', '--rtp', '192.0.2.1:5004'], /bad-config: .*Expected a loopback address/],
    [['watch', 'nobody', '--rtp', at(port)], /unknown-peer/]
  ] as const) {
    const { code, stderr } = await world.run(argv)
    t.is(code, 1, argv.join(' '))
    t.regex(stderr, words)
  }
  taken.close()
  const bob = await world.peer('bob')
  const refused = await world.run(['watch', 'bob', '--rtp', at(port)])
  t.is(refused.code, 1)
  t.regex(refused.stderr, /postern: io: .*bob.*watch/)
  t.is(bob.stderr, '')
  for (const command of ['camera', 'watch']) {
    const { code, lines } = await world.run([command, '--help'])
    t.is(code, 0)
    t.true(
      lines.every(line => line.length <= 80),
      lines.find(line => line.length > 80)
    )
  }
})
