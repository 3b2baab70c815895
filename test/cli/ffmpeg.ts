// Debian's ffmpeg as the program before a camera, and behind who watches it. Where it is not installed, tests with it are skipped,
// unless POSTERN_LAB=required.

import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { Child } from '../../examples/child.ts'

const isThere = () => spawnSync('ffmpeg', ['-version']).status === 0

/** A test with ffmpeg, one at a time. */
export function ffmpegTest(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  if (process.env.POSTERN_LAB === 'required' || isThere()) test.serial(title, run)
  else test.skip(title, run)
}

/** Disposed of, it is gone. */
export const ffmpeg = (...args: readonly string[]): Child => {
  const [file = '', ...rest] = ffmpegCommand(args)
  return new Child(spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'] }))
}

export const ffmpegCommand = (args: readonly string[]): string[] => [
  ...['ffmpeg', '-hide_banner', '-nostdin', '-loglevel', 'error'],
  ...args
]

/** A test picture that moves, as the example of `postern camera` sends a camera's: a key frame every two seconds. */
export const pictureArgs = (codec: 'h264' | 'vp8', port: number): string[] => [
  ...['-re', '-f', 'lavfi', '-i', 'testsrc=size=320x240:rate=25'],
  ...(codec === 'h264'
    ? ['-c:v', 'libx264', '-profile:v', 'baseline', '-preset', 'veryfast', '-tune', 'zerolatency']
    : ['-c:v', 'libvpx', '-deadline', 'realtime', '-b:v', '500k']),
  ...(codec === 'h264' ? ['-bsf:v', 'dump_extra'] : []),
  ...['-pix_fmt', 'yuv420p', '-force_key_frames', 'expr:gte(t,n_forced*2)'],
  ...['-f', 'rtp', `rtp://127.0.0.1:${port}?pkt_size=1000`]
]

/** Decodes so many frames of what a description says, as grey pictures of 64 × 48 pixels in a file. */
export const decodeArgs = (sdp: string, frames: number, file: string): string[] => [
  ...['-protocol_whitelist', 'file,udp,rtp', '-i', sdp, '-map', '0:v', '-frames:v', `${frames}`],
  ...['-s', '64x48', '-f', 'rawvideo', '-pix_fmt', 'gray', file]
]

/** Of one such picture. */
export const PICTURE_BYTES = 64 * 48

export const testTone = (port: number): Child =>
  ffmpeg(
    ...['-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-c:a', 'libopus', '-b:a', '64k'],
    ...['-f', 'rtp', `rtp://127.0.0.1:${port}?pkt_size=1000`]
  )

/** So many ports that are free together with the one after each, which a player of RTP takes for RTCP. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = []
  for (let port = 20_000 + 2 * (process.pid % 1000); found.length < count && port < 30_000; port += 2)
    if ((await isFree(port)) && (await isFree(port + 1))) found.push(port)
  return found
}

async function isFree(port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  try {
    socket.bind(port, '127.0.0.1')
    await once(socket, 'listening')
    return true
  } catch {
    return false
  } finally {
    socket.close()
  }
}
