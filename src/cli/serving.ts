// What `postern peer` does for others: takes files (--receive), and joins standard input and output (--pipe).

import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { asPosternError, PosternError } from '../errors.ts'
import type { Connection } from '../peer/connection/connection.ts'
import type { Stream } from '../peer/connection/streams/stream.ts'
import { tidyParts } from '../peer/services/parts.ts'
import { pipe } from '../peer/services/pipe.ts'
import { type Offer, type Received, type ReceiveOptions, receive } from '../peer/services/receive.ts'
import type { Progress } from '../peer/services/send.ts'
import { Senders } from '../peer/services/senders.ts'
import { formatBytes } from '../units.ts'
import { pinOf } from '../wire/identity/fingerprint.ts'
import type { PeerName } from '../wire/name.ts'
import { askAt } from './ask.ts'
import type { Run } from './door.ts'
import { followPath, type Presence } from './follow.ts'
import { describePath } from './meet.ts'
import { formatSeconds, formatThroughput, type Output, wrap } from './text/output.ts'
import { ProgressBar } from './text/progress.ts'

export interface ServingOptions {
  readonly receive?: string
  readonly from?: readonly PeerName[]
  readonly maxSize?: number
  readonly dotfiles?: boolean
  readonly executable?: boolean
  readonly pipe?: boolean
}

/** What holds for every file that is received. */
type Receiving = Pick<ReceiveOptions, 'folder' | 'maxBytes' | 'dotfiles' | 'executable'>

/** How often parts of cut transfers are looked at, in milliseconds, beside what is done at each transfer. */
const TIDY_MS = 3_600_000

/**
 * What to do with each connection that comes in. The first pipe settles `over`. Throws `io` if files could not be kept in the
 * folder.
 */
export async function serving(
  options: ServingOptions,
  run: Run,
  over: PromiseWithResolvers<void>,
  gateway: Readonly<Presence>
): Promise<(connection: Connection) => void> {
  const { output } = run
  const receiving = await receivingInto(options)
  const senders = new Senders({
    named: options.from,
    ask: options.from ? undefined : askAt({ input: process.stdin, output })
  })
  const join = options.pipe ? onePipe(run, senders, over) : undefined
  // All services are set in the turn in which the connection comes in, because streams may be waiting already.
  return connection => {
    connection.serve('send', stream =>
      told(connection, output, 'did not deliver', () => take(stream, connection, { receiving, senders, output }))
    )
    if (join)
      connection.serve('pipe', stream => told(connection, output, 'was not piped', () => join(stream, connection)))
    tellConnection(connection, output)
    followPath(connection, output, gateway)
  }
}

/** Says who may send and pipe, once: before the first one does. */
export function tellWhoMay({ from, receive, pipe }: ServingOptions, output: Output): void {
  const what = [...(receive === undefined ? [] : ['send']), ...(pipe ? ['pipe'] : [])].join(' or ')
  if (!what) return
  const names = from?.map(({ name, pin }) => (pin ? `${name}@${pinOf(pin)}` : name))
  if (names) return output.tell({ event: 'may', who: 'named', names }, `only these may ${what}: ${names.join(', ')}`)
  if (askAt({ input: process.stdin, output }))
    return output.tell({ event: 'may', who: 'asked' }, `you are asked about each peer that wants to ${what}`)
  output.tell(
    { event: 'may', who: 'all' },
    wrap(`whoever joins this gateway may ${what}; name who may with --from NAME@FINGERPRINT`, output.width, 2)
  )
}

/** Tells the failure of a stream here too. */
export async function told(
  connection: Connection,
  output: Output,
  words: string,
  work: () => Promise<unknown>
): Promise<void> {
  const { name } = connection.peer
  try {
    await work()
  } catch (error) {
    const { code, message } = asPosternError(error)
    output.tell(
      { event: 'failed', peer: name, code, reason: message },
      `${output.paint('bold', name)} ${words}: ${message}`
    )
    throw error
  }
}

async function take(
  stream: Stream,
  connection: Connection,
  { receiving, senders, output }: { receiving: Receiving; senders: Senders; output: Output }
): Promise<void> {
  const { peer, closed } = connection
  const admit = ({ file, bytes }: Offer) =>
    senders.admit(peer, { kind: 'send', words: `send "${file}" (${formatBytes(bytes)})` }, closed)
  const onReceived = (received: Received) => tellReceived(received, peer.name, output)
  const bar = new ProgressBar(output, connection)
  const told = { onProgress: (progress: Progress) => bar.show(progress), onReceived }
  await receive(stream, { ...receiving, from: peer.fingerprint, admit, ...told }).finally(() => bar.end())
}

/** Joins the first peer that may, and ends the command with it. Others are refused, and change nothing. */
function onePipe(
  { signal }: Run,
  senders: Senders,
  over: PromiseWithResolvers<void>
): (stream: Stream, connection: Connection) => Promise<void> {
  let taken = false
  return async (stream, { peer, closed }) => {
    await senders.admit(peer, { kind: 'pipe', words: 'be joined to standard input and output' }, closed)
    if (taken) throw new PosternError('io', 'its pipe is taken by another')
    taken = true
    await pipe(stream, process.stdin, process.stdout, signal).then(over.resolve, error => {
      over.reject(error)
      throw error
    })
  }
}

export function tellConnection(connection: Connection, output: Output): void {
  const { name: peer, fingerprint } = connection.peer
  const { by, kind, local, remote, ms, trace } = connection.path
  output.tell({ event: 'connection', peer, fingerprint, by, kind, local, remote, ms, trace })
  output.line(describePath({ connection, bitsPerSecond: undefined, verdict: undefined, traceKey: undefined }, output))
  connection.closed.addEventListener('abort', () => {
    const { code, message: reason } = asPosternError(connection.closed.reason)
    output.tell({ event: 'closed', peer, code, reason, trace }, `${output.paint('bold', peer)} is gone: ${reason}`)
  })
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
async function receivingInto({ receive, maxSize: maxBytes, dotfiles, executable }: ServingOptions): Promise<Receiving> {
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
