// What a browser has in the place of a warm socket: an RTCPeerConnection of which everything is there but the far side. The gateway
// stands among its TURN servers, so its own ICE socket shows the gateway its mapping, and proves by the key of the membership whose it
// is (src/gateway/udp/allocate.ts). When an order comes, the far side's description is all that it lacks.

import { PosternError } from '../errors.ts'
import type { LinkHost } from '../wire/agent.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { IceCredentials } from '../wire/order.ts'
import type { Address } from '../wire/shapes.ts'
import { type DataChannel, PeerTransport } from './transport.ts'

/** What `welcome` told. */
export interface Membership {
  readonly peer: string
  /** In base64: the password with the gateway. */
  readonly key: string
  readonly endpoints: readonly Endpoint[]
}

/** After one endpoint of the gateway has answered, the others are waited for so long, in milliseconds. */
const OTHERS_MS = 1000

/** A browser asks a TURN server that does not answer for about ten seconds; a session waits for five for a sign of it. */
const SILENT_MS = 4000

/** What a browser calls an ICE server that it could not reach (W3C WebRTC, section 5.3.2). */
const NOT_REACHED = 701

export class Prepared {
  readonly number: number
  readonly pc: RTCPeerConnection
  readonly transport: PeerTransport
  readonly control: DataChannel
  readonly sizing: DataChannel
  readonly opened: Promise<void>
  /** Resolves when an endpoint of the gateway has answered; never rejects. */
  readonly answered: Promise<void>
  /** The credentials that the browser has chosen, once `bind` has resolved. */
  ice: IceCredentials = { ufrag: '', pwd: '' }
  /** Names that the browser has made up, by which it is found on its link. */
  readonly hosts: LinkHost[] = []
  /** The addresses of this host, where the browser shows them, as it does to a page that may film. Their subnets are a guess. */
  readonly addresses: Address[] = []
  /** The local port of its socket, once `bind` has resolved; a browser does not tell the address. */
  port = 0
  readonly #bound = Promise.withResolvers<void>()
  readonly #shown = Promise.withResolvers<void>()
  readonly #answered = Promise.withResolvers<void>()

  /**
   * @param number the number that the gateway knows it by
   * @param certificate left out, the browser makes one up
   * @param looksAnew whether the addresses of the host may be others than a moment ago
   */
  constructor(
    number: number,
    { peer, key, endpoints }: Membership,
    certificate: RTCCertificate | undefined,
    looksAnew: boolean
  ) {
    this.number = number
    const frame = looksAnew ? anotherDocument() : undefined
    this.pc = new ((frame?.contentWindow ?? window) as typeof window).RTCPeerConnection({
      ...(certificate ? { certificates: [certificate] } : {}),
      iceServers: endpoints.map(({ address, port }) => ({
        urls: `turn:${address}:${port}?transport=udp`,
        username: `p:${peer}:${number}`,
        credential: key
      }))
    })
    const { pc } = this
    this.transport = new PeerTransport(pc, frame)
    const control = pc.createDataChannel('postern', { negotiated: true, id: 0 })
    const sizing = pc.createDataChannel('postern', { negotiated: true, id: 1, ordered: false, maxRetransmits: 0 })
    this.control = this.transport.keep(control)
    this.sizing = this.transport.keep(sizing)
    this.opened = new Promise(resolve => {
      control.onopen = () => resolve()
    })
    this.answered = this.#answered.promise
    this.#bound.promise.catch(() => {})
    this.#shown.promise.catch(() => {})
    this.#follow(endpoints.length)
  }

  /** Binds the socket, whose mappings are shown from then on. Throws `io`. A browser may bind none, and dial TCP all the same. */
  async bind(): Promise<void> {
    await this.pc.setLocalDescription(await this.pc.createOffer())
    const { sdp = '' } = this.pc.localDescription ?? {}
    this.ice = { ufrag: lineOf(sdp, 'ice-ufrag'), pwd: lineOf(sdp, 'ice-pwd') }
    await this.#bound.promise
  }

  /**
   * Offers anew. Rejects with what the browser throws if it does not take that.
   * @param ice credentials that it is to have
   * @param isLed leaves the lead to the far side: two agents that both have offered would both control, and find out by a check that is
   *   refused (RFC 8445 section 7.3.1.1); one that calls itself a lite one does not. Firefox takes no such offer
   */
  async offers({ ice, isLed = false }: { readonly ice?: IceCredentials; readonly isLed?: boolean }): Promise<void> {
    let { sdp = '' } = await this.pc.createOffer()
    if (ice) sdp = sdp.replace(/^(a=ice-ufrag:)\S+/gm, `$1${ice.ufrag}`).replace(/^(a=ice-pwd:)\S+/gm, `$1${ice.pwd}`)
    if (isLed) sdp = sdp.replace(/^(t=.*\r\n)/m, '$1a=ice-lite\r\n')
    await this.pc.setLocalDescription({ type: 'offer', sdp })
  }

  /** Resolves when the gateway has been shown its mappings, as far as a browser tells. Throws `udp-blocked`. */
  get shown(): Promise<void> {
    return this.#shown.promise
  }

  close(): void {
    this.#fail('io', 'the socket was closed')
    this.transport.close()
  }

  #fail(code: 'io' | 'udp-blocked', message: string): void {
    const error = new PosternError(code, message)
    this.#bound.reject(error)
    this.#shown.reject(error)
  }

  #follow(servers: number): void {
    let answers = 0
    let refusals = 0
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = setTimeout(() => this.#fail('udp-blocked', 'the gateway does not answer over UDP'), SILENT_MS)
    const shown = () => {
      clearTimeout(late)
      clearTimeout(timer)
      this.#shown.resolve()
    }
    const one = () => {
      this.#answered.resolve()
      timer ??= setTimeout(shown, OTHERS_MS)
    }
    this.pc.onicecandidate = ({ candidate }) => {
      if (candidate?.type === 'host' && candidate.protocol === 'udp' && candidate.port) {
        this.port ||= candidate.port
        const { address, port } = candidate
        if (address && isLinkName(address) && this.hosts.length < 4) this.hosts.push({ address, port })
        if (address && /^[\d.]+$/.test(address) && this.addresses.length < 16)
          this.addresses.push({ address, prefix: 24 })
        this.#bound.resolve()
      }
      // Its mapping has been seen by a server, or there is nobody left to ask.
      if (candidate?.type === 'srflx') one()
      if (candidate !== null) return
      this.#bound.resolve()
      if (this.port === 0)
        this.#fail(
          'udp-blocked',
          'this browser binds no UDP socket; a setting, an extension or a proxy keeps it from it'
        )
      else if (answers === 0 && refusals > 0 && timer === undefined)
        this.#fail('udp-blocked', 'the gateway does not answer over UDP')
      else shown()
    }
    this.pc.onicecandidateerror = ({ errorCode }) => {
      if (errorCode === NOT_REACHED) refusals++
      else answers++
      if (answers > 0) one()
      if (answers === servers) shown()
    }
  }
}

/**
 * Chromium on Linux looks for the addresses of its host two seconds after they have changed, and at once for another document. It has to
 * last as long as what is made in it.
 */
function anotherDocument(): HTMLIFrameElement | undefined {
  if (!('userAgentData' in navigator)) return undefined
  const frame = document.createElement('iframe')
  frame.hidden = true
  document.documentElement.append(frame)
  return frame
}

const lineOf = (sdp: string, name: string): string => new RegExp(`^a=${name}:(\\S+)`, 'm').exec(sdp)?.[1] ?? ''

const isLinkName = (address: string): boolean => /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}\.local$/i.test(address)
