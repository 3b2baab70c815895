// `postern watch`: what a camera shows, as RTP for ffmpeg or another program on this computer.

import { writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { PosternError } from '../errors.ts'
import type { IncomingTrack } from '../peer/connection/tracks/track.ts'
import { playerDescription, type Watched, watch } from '../peer/services/watch.ts'
import type { TrackKind } from '../peer/transport/media.ts'
import { troubleOf } from '../state-file.ts'
import { formatBytes } from '../units.ts'
import { type Endpoint, formatEndpoint } from '../wire/endpoint.ts'
import { perform, type Run } from './door.ts'
import { describePath, pathEvent, withConnection } from './meet.ts'
import { type JoinOptions, loopbackEndpoint, openOptionsOf, withConnectionOptions, withJoinOptions } from './options.ts'
import type { Output } from './text/output.ts'

interface Options extends JoinOptions {
  readonly rtp: Endpoint
  readonly audio?: Endpoint
  readonly sdp?: string
}

export function watchCommand(): Command {
  return withConnectionOptions(withJoinOptions(new Command('watch')))
    .summary('hand what a camera shows to ffmpeg or another player')
    .description(
      'Watches a peer that runs `postern camera`, and sends what it shows as RTP to a player on this computer.'
    )
    .argument('<peer>', 'NAME, or NAME@FINGERPRINT to be sure who it is')
    .requiredOption(
      '--rtp <address:port>',
      'where the player takes video, on this computer: 127.0.0.1:5006',
      loopbackEndpoint
    )
    .option('--audio <address:port>', 'where it takes audio, on this computer: 127.0.0.1:5010', loopbackEndpoint)
    .option('--sdp <file>', 'write the description by which the player reads them into this file')
    .addHelpText(
      'after',
      `
Examples:
  postern watch pi --name alice --rtp 127.0.0.1:5006 --sdp pi.sdp
  ffplay -protocol_whitelist file,udp,rtp -fflags nobuffer pi.sdp

The camera shows itself to those that it names (--allow). A player that begins
later sees a picture with the next key frame.`
    )
    .action((peer: string, options: Options) => perform(options, run => watchPeer(peer, options, run)))
}

async function watchPeer(peer: string, options: Options, run: Run): Promise<void> {
  const { rtp, audio, sdp, ...joining } = options
  const { output, signal } = run
  const targets = { video: rtp, ...(audio ? { audio } : {}) }
  await withConnection(peer, joining, run, async met => {
    const { connection } = met
    output.tell(pathEvent(met, await connection.ping()), describePath(met, output))
    const player = new Player(connection.peer.name, targets, sdp)
    const onTrack = (track: IncomingTrack) => {
      tellTrack(track, targets, output)
      player.add(track)
    }
    const ended = await Promise.race([
      watch(connection, { targets, onTrack, signal, ...openOptionsOf(options) }),
      player.failed
    ])
    tellDone(ended, output)
  })
}

/** Its description names the tracks that have come, and is written anew with each. */
class Player {
  readonly #name: string
  readonly #targets: Targets
  readonly #file: string | undefined
  readonly #tracks = new Map<TrackKind, IncomingTrack>()
  readonly #failed = Promise.withResolvers<never>()
  #writing: Promise<void> = Promise.resolve()

  constructor(name: string, targets: Targets, file: string | undefined) {
    this.#name = name
    this.#targets = targets
    this.#file = file
    this.#failed.promise.catch(() => {})
  }

  /** Rejects with `io` where the file could not be written. */
  get failed(): Promise<never> {
    return this.#failed.promise
  }

  add(track: IncomingTrack): void {
    this.#tracks.set(track.kind, track)
    const file = this.#file
    if (file === undefined) return
    const lines = [...this.#tracks.values()].flatMap(({ kind, codec }) => {
      const at = this.#targets[kind]
      return at ? [{ codec, at }] : []
    })
    this.#writing = this.#writing
      .then(() => writeFile(file, playerDescription(this.#name, lines)))
      .catch(cause =>
        this.#failed.reject(new PosternError('io', `${file} cannot be written: ${troubleOf(cause)}`, { cause }))
      )
  }
}

type Targets = Readonly<Partial<Record<TrackKind, Endpoint>>>

function tellTrack({ kind, codec, payloadType }: IncomingTrack, targets: Targets, output: Output): void {
  const target = targets[kind]
  const to = target && formatEndpoint(target)
  const text = to
    ? `${kind} (${codec}, payload type ${payloadType}) goes to ${to}`
    : `${kind} (${codec}) is not taken: --audio says where it goes`
  output.tell({ event: 'track', kind, codec, payloadType, to }, text)
}

function tellDone(watched: Record<TrackKind, Watched>, output: Output): void {
  const some = Object.entries(watched).filter(([, { packets }]) => packets > 0)
  const text = some.map(([kind, { packets, bytes }]) => `${kind}: ${packets} packets, ${formatBytes(bytes)}`).join('; ')
  output.tell({ event: 'done', ...watched }, text || 'nothing has come')
}
