// Options that several commands share, with their environment variables.

import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { PosternError } from '../errors.ts'
import type { OpenOptions } from '../peer/connection/connection.ts'
import { MOST_RESUME_MS, RESUME_MS } from '../peer/connection/resume.ts'
import { trustedWith } from '../peer/doors/trust.ts'
import type { PortOptions } from '../peer/punch/own-ports.ts'
import { troubleOf } from '../state-file.ts'
import { formatDuration, parseDuration, parseSize } from '../units.ts'
import { type Endpoint, isLoopback, parseEndpoint } from '../wire/endpoint.ts'
import { LEAST_PACKET_BYTES, PACKET_BYTES } from '../wire/packet-size.ts'

export interface GatewayOptions {
  readonly gateway: string
  readonly insecure?: boolean
  /** Certificates in PEM. */
  readonly ca?: string
  readonly json?: boolean
}

export interface JoinOptions extends GatewayOptions, PortOptions {
  readonly token?: string
  readonly name?: string
  readonly excludeInterface?: readonly string[]
  /** False: the router is never asked for a port. */
  readonly map?: boolean
  /** Milliseconds, where it was chosen. */
  readonly resume?: number
  readonly mtu?: number
  readonly relayOnly?: boolean
}

/** A stream waits for as long as was chosen, though its connection may wait for longer: there the longer wait of both sides counts. */
export const openOptionsOf = ({ resume }: Pick<JoinOptions, 'resume'>): OpenOptions =>
  resume === undefined ? {} : { resumeMs: resume }

export interface AdminOptions extends GatewayOptions {
  readonly adminToken?: string
}

/** For commands that join a gateway as a guest, or under a name. */
export function withJoinOptions(command: Command): Command {
  return withTokenOption(command).option('--name <name>', 'join under this name (default: as a guest without one)')
}

/** For `peer`, whose name is an argument. */
export function withTokenOption(command: Command): Command {
  return withGatewayOptions(command)
    .addOption(new Option('--token <token>', 'join token of the gateway').env('POSTERN_TOKEN'))
    .option(
      '--exclude-interface <names>',
      'interfaces whose addresses stay on this computer, such as docker0,br-*',
      interfaceNames
    )
    .option('--port <port>', 'UDP port of this peer, or a range such as 4000-4003, one for each connection', portRange)
    .option('--public <address:port>', 'where the router forwards to --port from, if that was set up by hand', endpoint)
    .option('--no-map', 'never ask the router for a port')
    .option('--mtu <bytes>', 'the largest IP packet of its connections, 800 to 1280 (default: 1280)', packetSize)
}

/** For commands that connect, or are connected to. */
export function withConnectionOptions(command: Command): Command {
  const standard = formatDuration(RESUME_MS)
  return command
    .option(
      '--resume <duration>',
      `how long to wait for another path when one is lost, up to 10m; 0 for never (default: ${standard})`,
      resumeDuration
    )
    .option(
      '--relay-only',
      'show the address of this computer to no other peer: connections go through the relay alone'
    )
}

/** Milliseconds. */
function resumeDuration(text: string): number {
  const ms = text.trim() === '0' ? 0 : parseDuration(text)
  if (ms !== undefined && ms <= MOST_RESUME_MS) return ms
  const most = formatDuration(MOST_RESUME_MS)
  throw new InvalidArgumentError(`Expected a duration up to ${most} such as 30s or 5m, or 0 for never.`)
}
const packetSize = wholeNumber(LEAST_PACKET_BYTES, PACKET_BYTES)

/** `4000`, or `4000-4003`. */
function portRange(text: string): readonly [number, number] {
  const [, first = '', last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  if (first) return [Number(first), Number(last)]
  throw new InvalidArgumentError('Expected a UDP port such as 4000, or a range such as 4000-4003.')
}

function endpoint(text: string): Endpoint {
  const read = parseEndpoint(text)
  if (read) return read
  throw new InvalidArgumentError('Expected an address and a port such as 198.51.100.7:4000.')
}

/** Where RTP comes from, or goes to: programs on this computer. */
export function loopbackEndpoint(text: string): Endpoint {
  const read = parseEndpoint(text)
  if (read && isLoopback(read.address)) return read
  throw new InvalidArgumentError('Expected a loopback address and a port such as 127.0.0.1:5004.')
}

/** For commands that read what the gateway keeps. */
export function withAdminOptions(command: Command): Command {
  return withGatewayOptions(command).addOption(
    new Option('--admin-token <token>', 'admin token of the gateway').env('POSTERN_ADMIN_TOKEN')
  )
}

/** Throws `bad-config` if there is no token. */
export function joinToken({ token }: JoinOptions): string {
  if (token) return token
  throw new PosternError(
    'bad-config',
    'a join token is needed: --token, or POSTERN_TOKEN; the gateway says at its start where it is'
  )
}

/** Names with commas in between; the option may be there several times. */
function interfaceNames(text: string, before: readonly string[] = []): readonly string[] {
  const names = text.split(',').map(name => name.trim())
  if (names.includes('')) throw new InvalidArgumentError('Expected names of interfaces, with a comma in between.')
  return [...before, ...names]
}

/** The text of a file that holds certificates. */
function certificates(file: string): string {
  const text = textOf(file)
  try {
    trustedWith(text, file)
    return text
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const why = isMissing ? 'there is no such file' : `it cannot be read: ${troubleOf(error)}`
    throw new InvalidArgumentError(`${file}: ${why}; expected certificates in PEM`)
  }
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`)
  }
}

/** Bytes, above zero. */
export function byteSize(text: string): number {
  const bytes = parseSize(text)
  if (bytes) return bytes
  throw new InvalidArgumentError('Expected a size above zero such as 64MiB or 2GiB.')
}

function withGatewayOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--gateway <url>', 'the gateway to use').env('POSTERN_GATEWAY').default('http://127.0.0.1:8080')
    )
    .option('--ca <file>', 'certificate in PEM of the authority that the gateway has its own from', certificates)
    .option('--json', 'one JSON object a line, for programs')
    .option('--insecure', 'allow http to a public address, where others can read the token on the way')
}
