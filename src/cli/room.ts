// `postern room`: makes a room, and prints its link; or closes it.

import { Command, InvalidArgumentError } from 'commander'
import { PosternError } from '../errors.ts'
import type { Peer } from '../peer/peer.ts'
import { MOST_HOURS } from '../wire/room/places.ts'
import { perform, type Run } from './door.ts'
import { withPeer } from './meet.ts'
import { type JoinOptions, withTokenOption } from './options.ts'

interface Options extends JoinOptions {
  readonly hours?: number
  readonly close?: boolean
}

export function roomCommand(): Command {
  return withTokenOption(new Command('room'))
    .summary('make a room, whose link lets others in without the token')
    .description(
      'Makes a room at the gateway, and prints its link, which opens a call in a\n' +
        'browser. Up to four may be in it at once, who reach each other and nobody\n' +
        'else; whoever comes later is let in by one of them.'
    )
    .argument('<name>', 'what the room is called')
    .option('--hours <n>', 'for how long the link is good (default: as long as the gateway has it)', hours)
    .option('--close', 'close the room, and send away whoever is there')
    .addHelpText(
      'after',
      `
Examples:
  postern room standup             prints a link; give it to whoever may come
  postern room standup --hours 2
  postern room standup             once more: the link before is good no more
  postern room standup --close

A room belongs to the key of this computer (POSTERN_HOME), which alone can make
it anew or close it. What its guests use of the gateway counts as this
computer's. In a browser the link opens a call; programs enter by
Peer.join({ room }).`
    )
    .action((name: string, options: Options) => perform(options, run => room(name, options, run)))
}

async function room(name: string, { close = false, hours, ...options }: Options, run: Run): Promise<void> {
  if (close && hours !== undefined) throw new PosternError('bad-config', 'give --hours or --close, not both')
  await withPeer(options, { accepts: false }, run, peer =>
    close ? end(peer, name, run) : make(peer, name, hours, run)
  )
}

async function make(peer: Peer, name: string, hours: number | undefined, { output }: Run): Promise<void> {
  const { link, expiresMs } = await peer.makeRoom(name, hours === undefined ? {} : { hours })
  output.tell({ event: 'room', name, link, expiresMs })
  output.line(output.paint('bold', link))
  output.line(`good until ${new Date(expiresMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`)
}

async function end(peer: Peer, name: string, { output }: Run): Promise<void> {
  await peer.closeRoom(name)
  output.tell({ event: 'room-closed', name }, `${name} is closed`)
}

function hours(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && value <= MOST_HOURS) return value
  throw new InvalidArgumentError(`Expected hours above 0, such as 2 or 0.5, up to ${MOST_HOURS}.`)
}
