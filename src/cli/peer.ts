// `postern peer`: joins under a name and waits for others. It ends when it is told to, when the gateway refuses it for good,
// or, with --pipe, when the first pipe has ended.

import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { Command } from 'commander'
import { asPosternError, PosternError } from '../errors.ts'
import type { Connection } from '../peer/connection/connection.ts'
import type { Peer, PeerOptions } from '../peer/peer.ts'
import { tidyParts } from '../peer/services/parts.ts'
import { pipe } from '../peer/services/pipe.ts'
import { type Received, type ReceiveOptions, receive } from '../peer/services/receive.ts'
import { formatBytes } from '../units.ts'
import { perform, type Run } from './door.ts'
import { describePath, withPeer } from './meet.ts'
import { byteSize, type JoinOptions, withTokenOption } from './options.ts'
import { formatSeconds, formatThroughput, type Output } from './text/output.ts'
import { progressBar } from './text/progress.ts'

interface Options extends JoinOptions {
  readonly receive?: string
  readonly maxSize?: number
  readonly dotfiles?: boolean
  readonly executable?: boolean
  readonly pipe?: boolean
}

/** What holds for every file that is received. */
type Receiving = Pick<ReceiveOptions, 'folder' | 'maxBytes' | 'dotfiles' | 'executable'>

/** How often parts of cut transfers are looked at, in milliseconds, beside what is done at each transfer. */
const TIDY_MS = 3_600_000

export function peerCommand(): Command {
  return withTokenOption(new Command('peer'))
    .summary('join a gateway under a name and wait for others')
    .description('Joins a gateway under a name, and waits for other peers to connect.')
    .argument('<name>', 'the name others reach this peer by; it belongs to this computer from then on')
    .option('--receive <folder>', 'take files that others send, into this folder')
    .option('--max-size <size>', 'take no larger file, such as 2GiB', byteSize)
    .option('--dotfiles', 'also take names that begin with a dot or a dash')
    .option('--executable', 'leave files executable that are so at the sender')
    .option('--pipe', 'join standard input and output to the first `postern pipe`, and end with it')
    .addHelpText(
      'after',
      `
Examples:
  postern peer bob --receive ~/incoming    others: postern send bob FILE
  postern peer bob --pipe > backup.tar     others: tar c . | postern pipe bob

It prints a fingerprint: whoever connects to NAME@FINGERPRINT reaches this peer
or nobody. The key is kept in POSTERN_HOME (~/.config/postern): two peers on one
computer need a folder each.`
    )
    .action((name: string, options: Options) =>
      perform({ json: options.json, service: true, dataOnStdout: options.pipe === true }, run =>
        peer({ ...options, name }, run)
      )
    )
}

async function peer(options: Options, run: Run): Promise<void> {
  const receiving = await receivingInto(options)
  const over = Promise.withResolvers<void>()
  run.signal.addEventListener('abort', () => over.resolve(), { once: true })
  over.promise.catch(() => {})
  process.on('SIGHUP', () => tellHangUp(run.output))
  const pipes = options.pipe ? onePipe(run, over) : undefined
  const hooks = {
    accepts: true,
    onConnection: (connection: Connection) => serve(connection, { receiving, pipes, output: run.output }),
    onState: stateTeller(options, run.output, over.reject)
  }
  await withPeer(options, hooks, run, async joined => {
    tellHowToReach(joined, options, run.output)
    await over.promise
  })
}

/** All services are set in the turn in which the connection comes in, because streams may be waiting already. */
function serve(
  connection: Connection,
  { receiving, pipes, output }: { receiving: Receiving; pipes: ReturnType<typeof onePipe> | undefined; output: Output }
): void {
  const { name } = connection.peer
  const say = (word: string, text: string) => output.line(`${output.paint('bold', name)} ${word}${text}`)
  const bar = progressBar(output)
  connection.serve('send', async stream => {
    try {
      await receive(stream, {
        ...receiving,
        from: connection.peer.fingerprint,
        onProgress: progress => bar(progress),
        onReceived: received => tellReceived(received, name, output)
      })
    } catch (error) {
      const { code, message } = asPosternError(error)
      output.tell({ event: 'failed', peer: name, code, reason: message })
      say('did not deliver: ', message)
      throw error
    }
  })
  if (pipes) connection.serve('pipe', pipes)
  const { by, kind, local, remote, ms, trace } = connection.path
  output.tell({
    event: 'connection',
    peer: name,
    fingerprint: connection.peer.fingerprint,
    by,
    kind,
    local,
    remote,
    ms,
    trace
  })
  output.line(describePath({ connection, bitsPerSecond: undefined, verdict: undefined }, output))
  connection.closed.addEventListener('abort', () => {
    const reason = (connection.closed.reason as Error).message
    output.tell({ event: 'closed', peer: name, reason }, `${output.paint('bold', name)} is gone: ${reason}`)
  })
}

/** Serves the first pipe and ends the command with it; others are refused meanwhile. */
function onePipe(
  { signal }: Run,
  over: PromiseWithResolvers<void>
): (stream: Parameters<typeof pipe>[0]) => Promise<void> {
  let taken = false
  return async stream => {
    if (taken) throw new PosternError('io', 'its pipe is taken by another')
    taken = true
    await pipe(stream, process.stdin, process.stdout, signal).then(over.resolve, error => {
      over.reject(error)
      throw error
    })
  }
}

function stateTeller(
  { gateway, name }: Options,
  output: Output,
  fail: (error: PosternError) => void
): NonNullable<PeerOptions['onState']> {
  let lost = false
  return state => {
    if (!state.joined && state.final) return fail(state.error)
    if (!state.joined) {
      const { code, message } = state.error
      output.tell({ event: 'lost', code, reason: message }, output.paint('yellow', `${message}; joining again`))
    } else if (lost) output.tell({ event: 'rejoined', name, gateway }, `joined ${gateway} again`)
    lost = !state.joined
  }
}

function tellHangUp(output: Output): void {
  output.tell({ event: 'hangup' }, output.paint('dim', 'SIGHUP is ignored; SIGTERM ends this peer'))
}

function tellHowToReach({ identity, name }: Peer, { receive, pipe, gateway }: Options, output: Output): void {
  const pin = identity.fingerprint.replaceAll(':', '').toLowerCase()
  const command = pipe ? `pipe ${name}` : receive === undefined ? `ping ${name}` : `send ${name} FILE`
  output.line(`others reach it with: ${output.paint('bold', `postern ${command} --gateway ${gateway}`)}`)
  output.line(`or, sure that it is this computer, as\n  ${name}@${pin}`)
}

function tellReceived({ file, bytes, sha256, ms, outcome }: Received, from: string, output: Output): void {
  const how = {
    sent: `in ${formatSeconds(ms / 1000)} (${formatThroughput(bytes, ms)})`,
    resumed: `in ${formatSeconds(ms / 1000)}, going on from before`,
    'already-there': 'was there already, the same'
  }[outcome]
  output.tell(
    { event: 'done', file, bytes, sha256, ms: Math.round(ms), from, outcome },
    `${output.paint('green', 'received')} ${file} from ${from}: ${formatBytes(bytes)} ${how}\n  sha256 ${sha256}`
  )
}

/** Throws `io` if files could not be kept in the folder. What cut transfers have left there is tidied up now and then. */
async function receivingInto({ receive, maxSize: maxBytes, dotfiles, executable }: Options): Promise<Receiving> {
  if (receive === undefined) return { folder: undefined }
  const folder = await writableFolder(receive)
  await tidyParts(folder)
  setInterval(() => void tidyParts(folder), TIDY_MS).unref()
  return { folder, maxBytes, dotfiles, executable }
}

/** Makes the folder if it is missing. Throws `io` if files could not be kept there. */
async function writableFolder(folder: string): Promise<string> {
  try {
    await mkdir(folder, { recursive: true })
    await access(folder, constants.W_OK | constants.X_OK)
    return folder
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? 'it is no folder' : (cause as Error).message
    throw new PosternError('io', `files cannot be received in ${folder}: ${why}`, { cause })
  }
}
