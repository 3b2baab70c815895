// `postern healthcheck`: whether the gateway of this configuration is up on this computer, for a container's HEALTHCHECK or a script.

import { request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { Command } from 'commander'
import type { Config } from '../config/config.ts'
import { Networks } from '../config/networks.ts'
import { asPosternError, PosternError } from '../errors.ts'
import { LOCAL_HEADER } from '../gateway/proxy/header.ts'
import { formatEndpoint } from '../wire/endpoint.ts'
import { hostOf } from '../wire/place.ts'
import { type ConfigOptions, configOf, withConfigOptions } from './configured.ts'
import { perform, type Run } from './door.ts'
import { wrap } from './text/output.ts'

interface Options extends ConfigOptions {
  readonly json?: boolean
}

interface Health {
  readonly ok?: boolean
  readonly warnings?: readonly { readonly code: string; readonly sentence: string; readonly advice: string }[]
}

/** With the start of a process shorter than the 5 s that our Dockerfile gives its check, so that the reason is told; in milliseconds. */
const ANSWER_MS = 2_000

export function healthcheckCommand(): Command {
  const command = new Command('healthcheck')
    .summary('ask whether the gateway on this computer is up')
    .description(
      'Asks the gateway that runs on this computer with this configuration whether it is up.\nExits with 0 if it is, whatever it warns of, and with 1 if it is not.'
    )
  return withConfigOptions(command)
    .option('--json', 'one JSON object a line, for programs')
    .addHelpText(
      'after',
      `
Examples:
  postern healthcheck --config config/postern.yaml
  HEALTHCHECK CMD ["node", "bin/postern.js", "healthcheck"]     in a Dockerfile`
    )
    .action((options: Options) => perform(options, run => healthcheck(options, run)))
}

async function healthcheck(options: Options, { output, signal }: Run): Promise<void> {
  const { listen } = await configOf(options)
  if (listen.http.port === 0)
    throw new PosternError('bad-config', 'listen.http has port 0, so only the gateway itself knows where it listens')
  const health = await healthAt(listen, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]))
  const { warnings = [] } = health
  output.tell({ event: 'healthy', warnings }, `the gateway at ${placeOf(listen)} is up`)
  for (const { sentence, advice } of warnings)
    output.line(wrap(`${output.paint('yellow', 'warning:')} ${sentence}; ${advice}`, output.width, 2))
}

/** It is asked where it listens: by itself, if that is a single address. */
async function healthAt(listen: Config['listen'], signal: AbortSignal): Promise<Health> {
  const { tls } = listen
  const place = placeOf(listen)
  const { promise, resolve, reject } = Promise.withResolvers<Health>()
  // Its certificate is for its name, and nothing secret is said: whoever has this port on this computer is who is asked about.
  const trusting = { signal, rejectUnauthorized: false, ...dialling(listen) }
  const asking = tls ? secureRequest(`${place}/healthz`, trusting) : request(`${place}/healthz`, trusting)
  asking.on('error', reject)
  asking.on('response', async response => {
    try {
      const body = (await json(response)) as Health
      if (response.statusCode === 200 && body?.ok === true) resolve(body)
      else reject(new Error(`it answered with ${response.statusCode}`))
    } catch (error) {
      reject(error)
    }
  })
  asking.end()
  try {
    return await promise
  } catch (thrown) {
    const { code, name } = thrown as NodeJS.ErrnoException
    const isLate = name === 'AbortError' || name === 'TimeoutError'
    const why = isLate ? `it did not answer within ${ANSWER_MS / 1000} s` : (code ?? asPosternError(thrown).message)
    throw new PosternError('gateway-unreachable', `no gateway is up at ${place}: ${why}`)
  }
}

/** Where this computer's own address is that of a proxy, a connection begins with the header of one that stands for nobody else. */
function dialling(listen: Config['listen']): { createConnection?: () => Socket } {
  const place = new URL(placeOf(listen))
  const host = hostOf(place)
  if (!listen.proxyProtocol || !new Networks(listen.trustProxy).has(host)) return {}
  return {
    createConnection() {
      const socket = connect(Number(place.port), host)
      socket.write(LOCAL_HEADER)
      return listen.tls ? connectTls({ socket, rejectUnauthorized: false }) : socket
    }
  }
}

function placeOf({ http, tls }: Pick<Config['listen'], 'http' | 'tls'>): string {
  const anywhere = { '0.0.0.0': '127.0.0.1', '::': '::1' } as Readonly<Record<string, string>>
  const address = anywhere[http.address] ?? http.address
  return `${tls ? 'https' : 'http'}://${formatEndpoint({ ...http, address })}`
}
