// `postern peer`: joins under a name, as soon as there is a gateway, and waits for others. It ends when it is told to, when the
// gateway refuses it for good, or, with --pipe, when the first pipe has ended.

import { Command } from 'commander'
import type { PosternError } from '../errors.ts'
import { parsePeer } from '../peer/identity/known-peers.ts'
import type { Peer, PeerOptions } from '../peer/peer.ts'
import { pinOf } from '../wire/identity/fingerprint.ts'
import type { PeerName } from '../wire/name.ts'
import { perform, type Run } from './door.ts'
import type { Presence } from './follow.ts'
import { withPeer } from './meet.ts'
import { byteSize, type JoinOptions, withConnectionOptions, withTokenOption } from './options.ts'
import { type ServingOptions, serving, tellWhoMay } from './serving.ts'
import type { Output } from './text/output.ts'

interface Options extends JoinOptions, ServingOptions {
  readonly once?: boolean
}

export function peerCommand(): Command {
  return withConnectionOptions(withTokenOption(new Command('peer')))
    .summary('join a gateway under a name and wait for others')
    .description('Joins a gateway under a name, and waits for other peers to connect.')
    .argument('<name>', 'the name others reach this peer by; it belongs to this computer from then on')
    .option('--receive <folder>', 'take files that others send, into this folder')
    .option('--from <peer>', 'who may send or pipe: NAME, or NAME@FINGERPRINT; may be repeated', peerNames)
    .option('--max-size <size>', 'take no larger file, such as 2GiB', byteSize)
    .option('--dotfiles', 'also take names that begin with a dot or a dash')
    .option('--executable', 'leave files executable that are so at the sender')
    .option('--pipe', 'join standard input and output to the first `postern pipe`, and end with it')
    .option('--once', 'end at once where the gateway cannot be joined now, and do not wait for it')
    .addHelpText(
      'after',
      `
Examples:
  postern peer bob --receive ~/incoming    others: postern send bob FILE
  postern peer bob --pipe > backup.tar     others: tar c . | postern pipe bob
  postern peer bob --receive ~/incoming --from alice --from carol

It may be started before there is a network or a gateway: it joins when it can,
and again whenever the connection is lost.

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
  const { over, gateway, onState } = staying(options, run)
  const onConnection = await serving(options, run, over, gateway)
  const hooks = { accepts: true, keepsTrying: options.once !== true, onConnection, onState }
  await withPeer(options, hooks, run, async joined => {
    tellHowToReach(joined, options, run.output)
    tellWhoMay(options, run.output)
    await over.promise
  })
}

/** The option may be there several times. */
const peerNames = (text: string, before: readonly PeerName[] = []): readonly PeerName[] => [...before, parsePeer(text)]

/** Of a command that stays joined: when it is over, whether its gateway is away, and what it says of that and of a hang-up. */
export function staying(options: Pick<JoinOptions, 'gateway' | 'name'>, { signal, output }: Run) {
  const over = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => over.resolve(), { once: true })
  over.promise.catch(() => {})
  process.on('SIGHUP', () => tellHangUp(output))
  const gateway: Presence = { isAway: false }
  return { over, gateway, onState: stateTeller(options, output, gateway, over.reject) }
}

/** Says that the gateway is away, and that it is joined again. */
function stateTeller(
  { gateway, name }: Pick<JoinOptions, 'gateway' | 'name'>,
  output: Output,
  presence: Presence,
  fail: (error: PosternError) => void
): NonNullable<PeerOptions['onState']> {
  return state => {
    if (!state.joined && state.final) return fail(state.error)
    if (!state.joined) {
      const { code, message } = state.error
      output.tell({ event: 'lost', code, reason: message }, output.paint('yellow', `${message}; joining again`))
    } else if (presence.isAway) output.tell({ event: 'rejoined', name, gateway }, `joined ${gateway} again`)
    presence.isAway = !state.joined
  }
}

function tellHangUp(output: Output): void {
  output.tell({ event: 'hangup' }, output.paint('dim', 'SIGHUP is ignored; SIGTERM ends this peer'))
}

function tellHowToReach({ identity, name }: Peer, options: Options, output: Output): void {
  const { receive, pipe, gateway, insecure } = options
  const what = pipe ? `pipe ${name}` : receive === undefined ? `ping ${name}` : `send ${name} FILE`
  // What this peer had to accept, the others have to as well.
  const command = `postern ${what} --gateway ${gateway}${insecure ? ' --insecure' : ''}`
  output.line(`others reach it with: ${output.paint('bold', command)}`)
  output.line(`or, sure that it is this computer, as\n  ${name}@${pinOf(identity.fingerprint)}`)
}
