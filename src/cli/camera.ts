// `postern camera`: joins under a name, and shows to those that may watch what ffmpeg, or another program on this computer, sends as
// RTP.

import { Command, InvalidArgumentError, Option } from 'commander'
import { PosternError } from '../errors.ts'
import type { Connection } from '../peer/connection/connection.ts'
import { parsePeer } from '../peer/identity/known-peers.ts'
import { Camera, type CameraOptions, type Input, type Watcher } from '../peer/services/camera.ts'
import { RtpSource } from '../peer/services/rtp-source.ts'
import { type Endpoint, formatEndpoint } from '../wire/endpoint.ts'
import { normaliseFingerprint, pinOf } from '../wire/identity/fingerprint.ts'
import { perform, type Run } from './door.ts'
import { followPath } from './follow.ts'
import { withPeer } from './meet.ts'
import { type JoinOptions, loopbackEndpoint, withConnectionOptions, withTokenOption } from './options.ts'
import { staying } from './peer.ts'
import { tellConnection, told } from './serving.ts'
import { type Output, wrap } from './text/output.ts'

interface Options extends JoinOptions {
  readonly rtp: Endpoint
  readonly codec: 'h264' | 'vp8'
  readonly audio?: Endpoint
  readonly allow?: readonly Watcher[]
}

export function cameraCommand(): Command {
  return withConnectionOptions(withTokenOption(new Command('camera')))
    .summary('show to named peers what ffmpeg sends')
    .description('Joins a gateway under a name, and shows to named peers what ffmpeg or another program sends as RTP.')
    .argument('<name>', 'the name others watch it by; it belongs to this computer from then on')
    .requiredOption('--rtp <address:port>', 'where the video comes, on this computer: 127.0.0.1:5004', loopbackEndpoint)
    .addOption(new Option('--codec <codec>', 'what the video is').choices(['h264', 'vp8']).default('h264'))
    .option('--audio <address:port>', 'where audio in Opus comes, on this computer: 127.0.0.1:5008', loopbackEndpoint)
    .option('--allow <peer>', 'who may watch: NAME, NAME@FINGERPRINT or FINGERPRINT; may be repeated', watchers)
    .addHelpText(
      'after',
      `
Examples:
  postern camera pi --rtp 127.0.0.1:5004 --allow alice

  ffmpeg -f v4l2 -i /dev/video0 -c:v libx264 -profile:v baseline \\
    -pix_fmt yuv420p -preset veryfast -tune zerolatency \\
    -force_key_frames 'expr:gte(t,n_forced*2)' -bsf:v dump_extra \\
    -f rtp 'rtp://127.0.0.1:5004?pkt_size=1000'

  postern watch pi --name alice --rtp 127.0.0.1:5006     on the other computer

A picture begins with a key frame. ffmpeg is not told when somebody begins to
watch, so it makes one every two seconds here, with what a decoder has to know
(dump_extra). Packets of 1000 bytes fit into a path, unless an --mtu makes it
narrower.`
    )
    .action((name: string, options: Options) =>
      perform({ json: options.json, service: true }, run => camera({ ...options, name }, run))
    )
}

async function camera({ allow = [], ...options }: Options & { name: string }, run: Run): Promise<void> {
  if (allow.length === 0)
    throw new PosternError('bad-config', 'a camera shows itself to nobody but those that --allow names; see --help')
  const { output } = run
  await using opened = new AsyncDisposableStack()
  const inputs = await openInputs(options, opened)
  for (const input of inputs) followSource(input, options, output)
  const filming = new Camera({ inputs, allowed: allow, ...tellers(output) })
  const { over, gateway, onState } = staying(options, run)
  const onConnection = (connection: Connection) => {
    connection.serve('watch', stream =>
      told(connection, output, 'is not shown anything', () => filming.show(stream, connection))
    )
    tellConnection(connection, output)
    followPath(connection, output, gateway)
  }
  await withPeer(
    options,
    { accepts: true, keepsTrying: true, onConnection, onState },
    run,
    async ({ identity, name }) => {
      const command = `postern watch ${name} --rtp 127.0.0.1:5006 --gateway ${options.gateway}`
      output.line(`those who may watch it with: ${output.paint('bold', command)}`)
      output.line(`or, sure that it is this computer, as\n  ${name}@${pinOf(identity.fingerprint)}`)
      await over.promise
    }
  )
}

async function openInputs({ rtp, codec, audio }: Options, opened: AsyncDisposableStack): Promise<Input[]> {
  const open = async (at: Endpoint) => {
    const source = await RtpSource.open(at)
    opened.defer(() => source.close())
    return source
  }
  const video: Input = { kind: 'video', codec, source: await open(rtp) }
  return audio ? [video, { kind: 'audio', codec: 'opus', source: await open(audio) }] : [video]
}

/** Says who sends, and once for each reason what is wrong with what comes. */
function followSource({ kind, source }: Input, { rtp, audio = rtp }: Options, output: Output): void {
  const at = formatEndpoint(kind === 'video' ? rtp : audio)
  const once = new Set<string>()
  source.on('source', from =>
    output.tell({ event: 'source', kind, from: formatEndpoint(from) }, `${kind} comes from ${formatEndpoint(from)}`)
  )
  source.on('dropped', (why, { address, port }) => {
    if (once.has(why)) return
    once.add(why)
    const from = formatEndpoint({ address, port })
    const text =
      why === 'not-rtp'
        ? `what comes to ${at} from ${from} is no RTP; give ffmpeg -f rtp`
        : `another program sends to ${at} from ${from}; it is not heard while the first one sends`
    output.tell({ event: 'dropped', kind, why, from }, wrap(output.paint('yellow', text), output.width, 2))
  })
}

function tellers(output: Output): Required<Pick<CameraOptions, 'onWatcher' | 'onDropped'>> {
  const tooLarge = new Set<Input>()
  return {
    onWatcher: ({ name: peer, fingerprint }, isThere) =>
      output.tell(
        { event: isThere ? 'watching' : 'left', peer, fingerprint },
        `${output.paint('bold', peer)} ${isThere ? 'watches' : 'watches no more'}`
      ),
    onDropped: (input, why, bytes, { maxPacketBytes }) => {
      if (why !== 'too-large' || tooLarge.has(input)) return
      tooLarge.add(input)
      const text = `packets of ${bytes} bytes do not fit into the path, which takes ${maxPacketBytes}, and are dropped; give ffmpeg rtp://ADDRESS:PORT?pkt_size=1000`
      const event = { event: 'dropped', kind: input.kind, why, bytes, maxPacketBytes }
      output.tell(event, wrap(output.paint('yellow', text), output.width, 2))
    }
  }
}

/** The option may be there several times. */
function watchers(text: string, before: readonly Watcher[] = []): readonly Watcher[] {
  const pin = normaliseFingerprint(text)
  if (pin) return [...before, { pin }]
  try {
    return [...before, parsePeer(text)]
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}, or a fingerprint of 64 hexadecimal digits.`)
  }
}
