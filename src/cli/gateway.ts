// `postern gateway`: runs a gateway until it is told to stop, and says how to join it. The log goes to standard error.
//
// Modules that only a gateway needs are imported when one is run, because loading them takes longer than a ping.

import type { X509Certificate } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { Command } from 'commander'
import type { Logger } from 'pino'
import { until } from '../clock.ts'
import type { Config } from '../config/config.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { LogLine } from '../gateway/log.ts'
import { type Endpoint, formatEndpoint, isLoopback, isPrivate } from '../wire/endpoint.ts'
import { hostOf } from '../wire/place.ts'
import { type ConfigOptions, configOf, withConfigOptions } from './configured.ts'
import { perform, type Run } from './door.ts'
import { logText } from './text/log-text.ts'
import type { Output } from './text/output.ts'
import { wrap } from './text/output.ts'

interface Options extends ConfigOptions {
  readonly json?: boolean
}

export function gatewayCommand(): Command {
  const command = new Command('gateway')
    .summary('run a gateway')
    .description('Runs a gateway, and prints how to join it. Without --config every option has its default.')
  return withConfigOptions(command)
    .option('--json', 'one JSON object a line, for programs')
    .addHelpText(
      'after',
      `
Examples:
  postern gateway                         listens on 8080/tcp and 3478-3480/udp
  postern gateway --config postern.yaml
  postern gateway --set listen.http=127.0.0.1:9000 --set log.level=debug

The tokens are made up at the first start, unless the configuration or
POSTERN_TOKEN and POSTERN_ADMIN_TOKEN have them. The log goes to standard error,
as JSON, or as text where that is a terminal (log.format).

SIGTERM and SIGINT end it in order: it takes nothing new, and what is relayed
has the time of "drain" to end or to find a direct path. A second signal ends it
now. SIGHUP reads the configuration again: strategies, limits, tokens,
certificates and the level of the log. What takes a restart is named; a file
with a mistake changes nothing.`
    )
    .action((options: Options) => perform({ ...options, service: true }, run => gateway(options, run)))
}

async function gateway(options: Options, { output, signal }: Run): Promise<void> {
  const [{ openGateway }, { openLog }] = await Promise.all([
    import('../gateway/gateway.ts'),
    import('../gateway/log.ts')
  ])
  // One after the other: of two that come at once the later one counts, and one that comes during the start is heard after it.
  const started = Promise.withResolvers<() => Promise<void>>()
  let reloading: Promise<unknown> = started.promise
  process.on('SIGHUP', () => {
    reloading = reloading.then(() => started.promise).then(again => again())
  })
  const config = await configOf(options)
  const isPretty = config.log.format === 'pretty' || (config.log.format === 'auto' && process.stderr.isTTY)
  const log = openLog({ level: config.log.level, ...(isPretty ? { render: prettily } : {}) })
  // A start may wait for somebody else, such as a server of names.
  const gateway = await until(openGateway(config, { log }), signal)
  // What is about to stop needs no other configuration.
  started.resolve(async () => {
    if (!signal.aborted) await reload(gateway, options, log)
  })
  const told = announcement(gateway, config, output)
  log.info({ http: told.http, udp: told.udp }, 'listening')
  // Whoever sits at the terminal reads them below, once.
  if (!(isPretty && output.live)) for (const warning of told.warnings) log.warn(warning)
  tell(told, output)
  // A login link is for whoever sits at the terminal: it goes into no pipe, no log and no file.
  if (output.live && !told.open) tellLink(`${told.url}${gateway.loginLink()}`, output)
  if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
  await stop(gateway, log, output)
}

/** Goes by the configuration as it is now. One with a mistake changes nothing, and the log has each mistake. */
async function reload(gateway: Gateway, options: Options, log: Logger): Promise<void> {
  try {
    const lasting = await gateway.reload(await configOf(options))
    const rest = lasting.length > 0 ? `; what takes a restart is as it was: ${lasting.join(', ')}` : ''
    log[lasting.length > 0 ? 'warn' : 'info']({ restart: lasting }, `the configuration was read again${rest}`)
  } catch (error) {
    gateway.notReloaded()
    log.error(`the configuration is as it was, since the one that was read is wrong: ${(error as Error).message}`)
  }
}

const prettily = (line: LogLine): string => {
  const { stderr } = process
  return logText(line, stderr.columns || 80, (style, text) => styleText(style, text, { stream: stderr }))
}

/** A second signal ends the process at once: see door.ts. */
async function stop(gateway: Gateway, log: Logger, output: Output): Promise<void> {
  const { now } = (await gateway.status()).sessions
  const draining = gateway.drain()
  if (now > 0) {
    const text = `stopping: ${now} ${now === 1 ? 'connection has' : 'connections have'} some time to end; a second signal ends it now`
    output.tell({ event: 'draining', sessions: now }, text)
    log.info({ sessions: now }, 'draining')
  }
  const left = await draining
  if (left > 0) log.warn({ sessions: left }, 'connections are cut: their time is over')
  log.info('stopping')
  await gateway.close()
}

interface Announcement {
  readonly url: string
  readonly http: string
  readonly udp: readonly string[]
  /** TCP ports of the relay alone. */
  readonly tcp: readonly string[]
  /** What carries relayed datagrams. */
  readonly engine: string
  /** Whether rooms may be made. */
  readonly calls: boolean
  readonly warnings: readonly string[]
  /** Files of the tokens that were made up. */
  readonly tokens: { readonly join?: string; readonly admin?: string }
  /** Whether pages and traces need no token on this computer. */
  readonly open: boolean
  /** The value for a peer's `--token`: at a terminal the made-up token itself, else the place where the token is. */
  readonly token: string
  readonly insecure: boolean
}

function announcement(gateway: Gateway, config: Config, output: Output): Announcement {
  const { http, endpoints, tcp, engine, joinToken, open } = gateway
  const address = reachable(http.address, config)
  const url = config.listen.url[0] ?? urlOf({ address, port: http.port }, gateway.certificate)
  const tokens = {
    ...(config.join.token ? {} : { join: join(config.state, 'join-token') }),
    ...(config.admin.token ? {} : { admin: join(config.state, 'admin-token') })
  }
  return {
    url,
    http: formatEndpoint(http),
    udp: endpoints.map(formatEndpoint),
    tcp: tcp.map(formatEndpoint),
    engine,
    calls: config.call.enabled,
    warnings: warnings(config, gateway, address),
    tokens,
    open,
    // What is printed elsewhere may be kept for long, and read by others: the log of a container.
    token: tokens.join ? (output.live ? joinToken : `"$(cat ${tokens.join})"`) : '"$POSTERN_TOKEN"',
    insecure: url.startsWith('http:') && !isPrivate(hostOf(new URL(url)))
  }
}

/** Over TLS it has a name of the certificate, since peers would trust it under no other, unless the address is one of them. */
function urlOf(at: Endpoint, certificate: X509Certificate | undefined): string {
  if (!certificate) return `http://${formatEndpoint(at)}`
  const names = (certificate.subjectAltName ?? '').split(', ').flatMap(name => /^DNS:([\w.-]+)$/.exec(name)?.[1] ?? [])
  const isNamed = !certificate.checkIP(at.address) && names[0]
  return `https://${isNamed ? `${names[0]}${at.port === 443 ? '' : `:${at.port}`}` : formatEndpoint(at)}`
}

/**
 * The address by which others reach what listens on every address: the one that the configuration tells peers, or this
 * computer's first.
 */
function reachable(address: string, { listen }: Config): string {
  if (!/^[0:.]+$/.test(address)) return address
  const own = Object.values(networkInterfaces())
    .flatMap(list => list ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)
  return listen.udp.public[0]?.host ?? own?.address ?? '127.0.0.1'
}

function warnings({ listen }: Config, { strategies, notes }: Gateway, address: string): string[] {
  const { addresses, public: told } = listen.udp
  const relay = strategies.some(({ lastResort }) => lastResort)
  return [
    ...(addresses.length < 2 && !isLoopback(address)
      ? [
          'only one UDP address is configured: how a NAT maps addresses can be told only partly; ' +
            'with a second one in listen.udp.addresses it is told in full'
        ]
      : []),
    ...(told.length === 0 && addresses.every(isLoopback)
      ? ['UDP listens on loopback alone: only peers of this computer can use it']
      : []),
    ...notes,
    ...(relay ? [] : ['no relay is among the strategies: where no direct path opens, a connection fails'])
  ]
}

function tell(told: Announcement, output: Output): void {
  const { url, http, udp, tcp, engine, warnings, tokens, open, calls } = told
  output.tell({ event: 'listening', url, http, udp, tcp, engine, tokens, open, warnings })
  const bold = (text: string) => output.paint('bold', text)
  output.line(`${bold('postern gateway')} is listening`)
  output.line(`  API and peers   ${http}/tcp`)
  output.line(`  STUN and relay  ${udp.map(endpoint => `${endpoint}/udp`).join(', ')}`)
  if (tcp.length > 0) output.line(`  relay           ${tcp.map(endpoint => `${endpoint}/tcp`).join(', ')}`)
  output.line(`  relay engine    ${engine}`)
  for (const warning of warnings) output.line(wrap(`${output.paint('yellow', 'note:')} ${warning}`, output.width, 2))
  output.line('\nJoin it from another computer, each under a name of its own:')
  output.line(bold(`  ${joinCommand(told, 'peer bob --receive ./received')}`))
  output.line('and from a third, send bob a file:')
  output.line(bold(`  ${joinCommand(told, 'send bob FILE')}`))
  if (calls) {
    output.line('A room for a call in browsers has a link, which is printed by')
    output.line(bold(`  ${joinCommand(told, 'room standup')}`))
  }
  if (tokens.join) output.line(`\nThe join token was made up; it is kept in ${tokens.join}`)
  else output.line('\nThe join token is the one you configured.')
  output.line('Why a connection was relayed or failed is told on its pages, and by a command:')
  output.line(bold(`  ${url}/`))
  output.line(bold(`  ${tracesCommand(told)}`))
}

function tellLink(link: string, output: Output): void {
  output.line('This link logs a browser in to its pages, once, within ten minutes:')
  output.line(output.paint('bold', `  ${link}`))
}

function tracesCommand({ url, tokens, open, insecure }: Announcement): string {
  const token = tokens.admin ? `"$(cat ${tokens.admin})"` : '"$POSTERN_ADMIN_TOKEN"'
  const command = `postern traces --gateway ${url}${insecure ? ' --insecure' : ''}`
  return open ? command : `${command} \\\n    --admin-token ${token}`
}

function joinCommand({ url, token, insecure }: Announcement, command: string): string {
  return `postern ${command} --gateway ${url} \\\n    --token ${token}${insecure ? ' --insecure' : ''}`
}
