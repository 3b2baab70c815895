// Where peers find the UDP ports, if the host is known by other addresses than those that they are bound to: behind a container's
// published ports, or a cloud's translation. A name is asked for its address again from time to time, since it may be one that
// follows the address of a line. Whoever joins later is told the new one; links over the old one are lost with it.

import { lookup } from 'node:dns/promises'
import type { PublicAddress } from '../../config/schema.ts'
import { PosternError } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Port } from './listen.ts'

/** One of the addresses, as peers are told it. */
export interface Told {
  readonly address: string
  /** One for each of the gateway's ports; left out where they are the same. */
  readonly ports?: readonly number[]
}

export interface PublicOptions {
  readonly log: { info(text: string): void; warn(text: string): void }
  /** The IPv4 address of a name; rejects where it has none. Left out, the system is asked. */
  readonly resolve?: (host: string) => Promise<string>
}

/** Between two questions for the address of a name, in milliseconds: a line that gets another address is out for about as long. */
const AGAIN_MS = 60_000

const byTheSystem = async (host: string): Promise<string> => (await lookup(host, { family: 4 })).address

export class PublicAddresses implements Disposable {
  /** In the order of `listen.udp.addresses`; empty: these themselves. */
  told: readonly Told[]
  readonly #configured: readonly PublicAddress[]
  readonly #options: PublicOptions
  readonly #timer: NodeJS.Timeout | undefined
  #asking: Promise<void> | undefined

  private constructor(configured: readonly PublicAddress[], told: readonly Told[], options: PublicOptions) {
    this.told = told
    this.#configured = configured
    this.#options = options
    const hasNames = configured.some(({ host }, index) => host !== told[index]?.address)
    this.#timer = hasNames ? setInterval(() => void this.refresh(), AGAIN_MS).unref() : undefined
  }

  /** Throws `bad-config` where a name has no IPv4 address: peers could not be told where to send. */
  static async open(configured: readonly PublicAddress[], options: PublicOptions): Promise<PublicAddresses> {
    const told = await Promise.all(configured.map((one, index) => resolved(one, index, options)))
    return new PublicAddresses(configured, told, options)
  }

  get addresses(): string[] {
    return this.told.map(({ address }) => address)
  }

  /**
   * Asks for the addresses of names again. What cannot be found out stays as it was. Who asks while an answer is due waits for that one: a
   * server of names that is away holds a thread for longer than it takes until the next question.
   */
  refresh(): Promise<void> {
    this.#asking ??= this.#refreshed().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #refreshed(): Promise<void> {
    this.told = await Promise.all(this.told.map((before, index) => this.#again(before, index)))
  }

  async #again(before: Told, index: number): Promise<Told> {
    const { log } = this.#options
    const configured = this.#configured[index] as PublicAddress
    try {
      const told = await resolved(configured, index, this.#options)
      if (before.address !== told.address)
        log.info(`${configured.host} is at ${told.address} now, and was at ${before.address}`)
      return told
    } catch (error) {
      log.warn(`${(error as Error).message}; peers are told ${before.address} as before`)
      return before
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

/** Where a port is reached, if that is another place than it is bound to. */
export function toldOf(told: readonly Told[], { local, row, column }: Port): Endpoint | undefined {
  const at = told[row]
  return at && { address: at.address, port: at.ports?.[column] ?? local.port }
}

async function resolved(
  { host, ports }: PublicAddress,
  index: number,
  { resolve = byTheSystem }: PublicOptions
): Promise<Told> {
  try {
    return { address: await resolve(host), ...(ports ? { ports } : {}) }
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message
    const text = `listen.udp.public[${index}]: ${host} has no IPv4 address (${why}); expected a name that leads to this gateway`
    throw new PosternError('bad-config', text, { cause })
  }
}
