// Where this gateway is found. A hello says where its peer dialled (wire/place.ts), and is good at this gateway's own places
// alone: whoever passes on a hello that was made for another gateway is refused. No header that says which host was meant decides,
// since whoever passes a hello on writes them.
//
//   a URL of listen.url, or the address and port that were reached        ─► its own
//   listen.url names others                                               ─► wrong-gateway
//   another address, and nothing in between that could translate it       ─► wrong-gateway
//   what cannot be checked: a name, the address of a NAT or a proxy       ─► taken; the operator is told what to configure

import { isIP } from 'node:net'
import { PosternError } from '../../errors.ts'
import { type Endpoint, isLoopback, isPrivate, plainAddress } from '../../wire/endpoint.ts'
import { hostOf } from '../../wire/place.ts'
import type { Warning } from './sources.ts'

/** How a hello came. */
export interface Way {
  /** The address that it seems to come from. */
  readonly from: string
  /** The gateway's own endpoint that it reached, or that of a trusted proxy in front, as that says. */
  readonly reached: Endpoint
}

export interface PlacesOptions {
  /** `listen.url`: the places where this gateway is found, and no others. Empty: it is not said. */
  readonly urls: readonly string[]
  /** What the HTTP port speaks: with TLS or in clear. */
  readonly scheme: Scheme
  /** The addresses that peers are told for UDP. */
  readonly told: () => readonly string[]
  readonly log: { warn(fields: object, message: string): void }
}

/** A token holder may make names up: more than these are taken as well, and not told. */
const TOLD = 8

export class Places {
  readonly #options: PlacesOptions
  readonly #unchecked = new Set<string>()

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  get warnings(): readonly Warning[] {
    const { size } = this.#unchecked
    if (size === 0) return []
    const names = size === 1 ? 'a URL' : `${size === TOLD ? 'many' : size} URLs`
    const sentence = `peers dial this gateway at ${names} that it cannot check, so a hello made for another gateway may be good here`
    return [{ code: 'unchecked-url', sentence, advice: 'set listen.url; the log has the line to add' }]
  }

  /** Throws `wrong-gateway` if a hello for `place` is not for this gateway. */
  check(place: string, way: Way): void {
    const { urls } = this.#options
    if (urls.includes(place) || this.#isOwnAddress(place, way)) return
    if (urls.length > 0) throw wrong(place, `listen.url names ${urls.join(', ')}`)
    if (isElsewhere(place, way, this.#options.scheme)) throw wrong(place, `it was reached at ${way.reached.address}`)
    this.#note(place)
  }

  /** A private address says to its neighbours alone which host it is, and loopback to its own host. */
  #isOwnAddress(place: string, { from, reached }: Way): boolean {
    const at = plainAddress(reached.address)
    const dialled = addressIn(place, at, this.#options.scheme)
    if (!dialled || dialled.port !== reached.port) return false
    const isOwn = dialled.address === at || this.#options.told().includes(dialled.address)
    return isOwn && reachOf(plainAddress(from)) <= reachOf(dialled.address)
  }

  #note(place: string): void {
    if (this.#unchecked.has(place) || this.#unchecked.size >= TOLD) return
    this.#unchecked.add(place)
    this.#options.log.warn(
      { place },
      `unchecked-url: a peer dialled this gateway at ${place}, which it cannot check: a hello made for another gateway may be good here; if this is its URL, add to the configuration: listen: { url: [${[...this.#unchecked].map(url => `'${url}'`).join(', ')}] }`
    )
  }
}

const wrong = (place: string, why: string) =>
  new PosternError(
    'wrong-gateway',
    `the peer dialled ${place}, and this gateway is not found there (${why}); dial it at a URL of its own, or have its operator add this one to listen.url`
  )

/** Nothing translates a public address to another one on the way, nor one of loopback, and so the peer dialled another host. */
function isElsewhere(place: string, { reached }: Way, scheme: Scheme): boolean {
  const at = plainAddress(reached.address)
  const dialled = addressIn(place, at, scheme)?.address
  if (!dialled || dialled === at || isIP(dialled) !== isIP(at)) return false
  return reachOf(dialled) === reachOf(at) && reachOf(at) !== NEIGHBOURS
}

const NEIGHBOURS = 1

/** From how far away an address leads to its host: 0 from itself, 1 from neighbours, 2 from everywhere. */
const reachOf = (address: string): number => (isLoopback(address) ? 0 : isPrivate(address) ? NEIGHBOURS : 2)

type Scheme = keyof typeof defaultPorts

const defaultPorts = { 'http:': 80, 'https:': 443 } as const

/** The endpoint that a place names, as far as a gateway may listen there itself: by its own scheme, and not below a path. */
function addressIn(place: string, at: string, scheme: Scheme): Endpoint | undefined {
  const url = new URL(place)
  if (url.protocol !== scheme || url.pathname !== '/') return undefined
  const address = url.hostname === 'localhost' && isLoopback(at) ? at : hostOf(url)
  return isIP(address) ? { address, port: Number(url.port || defaultPorts[scheme]) } : undefined
}
