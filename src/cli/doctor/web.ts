// What answers at the gateway's place: its certificate, /healthz, its clock, and the WebSocket that peers join by. Each is dialled as a
// peer dials it: by the proxy of the environment if there is one, and with the authorities that a peer trusts.

import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { request as secureRequest } from 'node:https'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { timeoutSignal } from '../../clock.ts'
import { messageOf } from '../../errors.ts'
import { diallingOf } from '../../peer/doors/proxy.ts'
import { trustedWith } from '../../peer/doors/trust.ts'
import { refusePublic } from '../../peer/gateway-url.ts'
import { type Answer, answerOf, passOn, whyUnreachable } from '../../peer/unreachable.ts'
import { roughly } from '../../units.ts'
import { otherVersion, PROTOCOL } from '../../wire/identity/proof.ts'
import { ORDER_BYTES, parseFromGateway } from '../../wire/signal.ts'
import { printable } from '../../wire/text.ts'
import { type Finding, found, ok, parted, type Side, type Stepped, unchecked, warning, wrong } from './check.ts'
import type { Place } from './place.ts'

export interface Trusting {
  readonly insecure?: boolean | undefined
  /** Certificates in PEM. */
  readonly ca?: string | undefined
}

const DAY_MS = 86_400_000

/** A certificate is renewed a month before its end, or so; whoever has not done that by now has forgotten it. Milliseconds. */
const RENEWED_MS = 14 * DAY_MS

/** Resolves with true if a token may be sent there. */
export async function checkTls(place: Place, trusting: Trusting, signal: AbortSignal): Promise<Stepped<true>> {
  if (!place.isSecure) return await checkClear(place, trusting)
  const asking = ask(place, '/healthz', { ...trusting, method: 'HEAD' }, signal)
  try {
    const seen = await certificateOf(asking)
    if ('status' in seen) return found(parted('you', whyUnreachable(place.place, seen, place.proxy)))
    return found(validFor(seen), true)
  } catch (error) {
    signal.throwIfAborted()
    const { code = '' } = error as NodeJS.ErrnoException
    const seen = await lookBehind(place, signal)
    return found(untrusted(error as Error, code, place, seen))
  } finally {
    asking.on('error', () => {})
    asking.destroy()
  }
}

/** Without TLS the token goes in clear. */
async function checkClear({ join }: Place, { insecure }: Trusting): Promise<Stepped<true>> {
  try {
    await refusePublic(join)
    return found(ok('none, which will do in a private network'), true)
  } catch (error) {
    const advice =
      'give the gateway a certificate (listen.tls), or a proxy that speaks https; --insecure joins all the same'
    const sentence = messageOf(error).replace(/; use https.*$/, '')
    return insecure
      ? found(warning('gateway', sentence, { advice }), true)
      : found(wrong('gateway', sentence, { advice }))
  }
}

/** Resolves with the certificate, or with what a proxy has answered in the place of whoever has one. */
async function certificateOf(asking: ClientRequest): Promise<PeerCertificate | Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<PeerCertificate | Answer>()
  asking.once('error', reject)
  asking.once('response', async response => resolve(await answerOf(response)))
  asking.once('socket', (socket: TLSSocket) => {
    const tell = () => resolve(socket.getPeerCertificate())
    // By a proxy the handshake is over before the request has its socket.
    if (socket.getPeerCertificate?.()?.valid_to) tell()
    else socket.once('secureConnect', tell)
  })
  return await promise
}

function validFor(certificate: PeerCertificate): Finding {
  const until = new Date(certificate.valid_to)
  const leftMs = until.getTime() - Date.now()
  const day = until.toISOString().slice(0, 10)
  const facts = factsOf(certificate)
  const sentence = `its certificate, of ${facts.issuer}, is good until ${day}`
  if (leftMs > RENEWED_MS) return ok(sentence, facts)
  const advice = `renew it: it has ${roughly(Math.max(0, leftMs))} left`
  return warning('gateway', sentence, { advice, facts })
}

const factsOf = ({ issuer, subject, subjectaltname, valid_from, valid_to, fingerprint256 }: PeerCertificate) => ({
  issuer: printable(String(issuer?.O ?? issuer?.CN ?? 'nobody')),
  subject: printable(String(subject?.CN ?? '')),
  names: printable(subjectaltname ?? ''),
  from: valid_from,
  until: valid_to,
  fingerprint: fingerprint256
})

/** What is there, whoever vouches for it: nothing is sent but a request for the time. */
interface Seen {
  readonly certificate: PeerCertificate
  /** How far the gateway's clock is ahead of ours, in milliseconds. */
  readonly aheadMs: number | undefined
}

async function lookBehind(place: Place, signal: AbortSignal): Promise<Seen | undefined> {
  try {
    const { response, sentMs, rttMs } = await answered(ask(place, '/healthz', { isUnverified: true }, signal))
    const certificate = (response.socket as TLSSocket).getPeerCertificate()
    response.destroy()
    return { certificate, aheadMs: aheadOf(response, sentMs, rttMs) }
  } catch {
    signal.throwIfAborted()
    return undefined
  }
}

/** Whose it is by its code: an authority of one's own is named here, and a name is dialled here. */
function untrusted(error: Error, code: string, { place, proxy }: Place, seen: Seen | undefined): Finding {
  const facts = { code, ...(seen ? factsOf(seen.certificate) : {}) }
  const isClock = /EXPIRED|NOT_YET/.test(code) && Math.abs(seen?.aheadMs ?? 0) > DAY_MS
  if (isClock) return { ...clockWrong(seen?.aheadMs ?? 0), outcome: 'wrong', facts }
  const said = parted(sideOf(code), whyUnreachable(place, error, proxy))
  const whose = seen ? `; it is for ${facts.names || facts.subject || 'nobody'}, by ${facts.issuer}` : ''
  return { ...said, sentence: `${said.sentence}${whose}`, facts }
}

function sideOf(code: string): Side {
  if (/SELF_SIGNED|ISSUER|VERIFY|ALTNAME|WRONG_VERSION|PACKET_LENGTH|EPROTO|HTTP_REQUEST/.test(code)) return 'you'
  return /CERT_|SSL|TLS|ECONNRE/.test(code) ? 'gateway' : 'network'
}

export interface Health {
  /** How far the gateway's clock is ahead of ours, in milliseconds; undefined where it does not tell the time. */
  readonly aheadMs: number | undefined
}

/** Resolves with what /healthz of a gateway has told. */
export async function checkHttp(place: Place, trusting: Trusting, signal: AbortSignal): Promise<Stepped<Health>> {
  try {
    const { response, sentMs, rttMs } = await answered(ask(place, '/healthz', trusting, signal))
    const aheadMs = aheadOf(response, sentMs, rttMs)
    const answer = await answerOf(response)
    const health = healthIn(answer)
    if (!health) return found(noGateway(answer, place))
    const warnings = health.warnings.map(({ sentence, advice }) => warning('gateway', sentence, { advice }))
    return { findings: [ok('a postern gateway answers at /healthz'), ...warnings], value: { aheadMs } }
  } catch (error) {
    signal.throwIfAborted()
    return found(parted('gateway', whyUnreachable(place.place, error as Error, place.proxy)))
  }
}

function healthIn({ status, body }: Answer): { warnings: { sentence: string; advice: string }[] } | undefined {
  try {
    const { ok, warnings = [] } = JSON.parse(body)
    if (status !== 200 || ok !== true || !Array.isArray(warnings)) return undefined
    return {
      warnings: warnings.map(({ sentence, advice }) => ({
        sentence: printable(String(sentence)),
        advice: printable(String(advice))
      }))
    }
  } catch {
    return undefined
  }
}

function noGateway(answer: Answer, { place, proxy }: Place): Finding {
  const { status } = answer
  const isOther = (status < 300 || status === 404) && !/HTTPS/i.test(answer.body)
  const advice = 'is the URL right, its port and its path included?'
  if (isOther) return wrong('you', `what answers at ${place} is no postern gateway (HTTP ${status})`, { advice })
  const side: Side = status >= 500 || status === 401 || status === 403 || status === 429 ? 'gateway' : 'you'
  return parted(side, whyUnreachable(place, answer, proxy))
}

/** Clocks that are further apart than this are set wrong, in milliseconds: `Date` has whole seconds. */
const APART_MS = 30_000

export function checkClock({ aheadMs }: Health): Stepped<true> {
  if (aheadMs === undefined) return found(unchecked('the gateway does not tell the time (no Date)'), true)
  if (Math.abs(aheadMs) > APART_MS) return found(clockWrong(aheadMs), true)
  return found(ok('this clock and that of the gateway agree', { aheadMs: Math.round(aheadMs) }), true)
}

function clockWrong(aheadMs: number): Finding {
  const sentence = `this clock is ${roughly(Math.abs(aheadMs))} ${aheadMs > 0 ? 'behind' : 'ahead of'} that of the gateway`
  const advice = `set it: here it is ${new Date().toISOString().slice(0, 19)}Z; if that is right, the gateway's operator has to set theirs`
  return warning('you', sentence, { advice, facts: { aheadMs: Math.round(aheadMs) } })
}

/** `Date` (RFC 9110 section 6.6.1) is cut to whole seconds, so half of one is added; it was said half a round trip ago. */
function aheadOf({ headers }: IncomingMessage, sentMs: number, rttMs: number): number | undefined {
  const saidMs = Date.parse(headers.date ?? '')
  return Number.isNaN(saidMs) ? undefined : saidMs + 500 - (sentMs + rttMs / 2)
}

/** How long a gateway has to send its challenge once the WebSocket is open, in milliseconds. */
const CHALLENGE_MS = 5000

/** Resolves with true if a gateway of this version has taken the WebSocket. Nothing is said to it. */
export async function checkWebSocket(place: Place, { ca }: Trusting, signal: AbortSignal): Promise<Stepped<true>> {
  const { join } = place
  const trusted = trustedWith(ca)
  const ws = new WebSocket(join, {
    maxPayload: ORDER_BYTES,
    perMessageDeflate: false,
    ...diallingOf(join.href),
    ...(trusted ? { ca: trusted } : {})
  })
  using late = timeoutSignal(CHALLENGE_MS)
  const said = Promise.withResolvers<Stepped<true>>()
  ws.on('unexpected-response', async (_, response) => said.resolve(found(swallowed(await answerOf(response)))))
  ws.on('error', error => said.resolve(found(parted('gateway', whyUnreachable(place.place, error, place.proxy)))))
  ws.on('close', () => said.resolve(found(wrong('gateway', 'the WebSocket was closed without a word'))))
  ws.on('message', data => said.resolve(challenged(String(data))))
  const abort = () => (signal.aborted ? said.reject(signal.reason) : said.resolve(found(silent(ws))))
  const over = AbortSignal.any([signal, late])
  over.addEventListener('abort', abort)
  try {
    return await said.promise
  } finally {
    over.removeEventListener('abort', abort)
    ws.on('error', () => {})
    ws.terminate()
  }
}

/** The gateway itself answers to /healthz, so somebody in between has answered this. */
const swallowed = ({ status }: Answer): Finding =>
  wrong('gateway', `a proxy in front of the gateway swallows the request for a WebSocket (HTTP ${status})`, {
    advice: passOn,
    facts: { status }
  })

const silent = ({ readyState }: WebSocket): Finding =>
  wrong(
    'gateway',
    readyState === WebSocket.OPEN
      ? 'the WebSocket is open, and nothing comes: a proxy in front of the gateway holds back what it says'
      : `nothing answers the request for a WebSocket within ${CHALLENGE_MS / 1000} s`,
    { advice: passOn }
  )

function challenged(text: string): Stepped<true> {
  const version = versionIn(text)
  if (version === undefined)
    return found(wrong('you', 'the WebSocket is that of another program', { advice: 'is the path of the URL right?' }))
  const facts = { version }
  if (version === PROTOCOL) return found(ok(`open; the gateway speaks version ${version}, as this does`, facts), true)
  return found({ ...parted(version > PROTOCOL ? 'you' : 'gateway', otherVersion('gateway', version).message), facts })
}

function versionIn(text: string): number | undefined {
  try {
    const message = parseFromGateway(text)
    return message.type === 'challenge' ? message.v : undefined
  } catch {
    return undefined
  }
}

interface Asking extends Trusting {
  readonly method?: 'GET' | 'HEAD'
  /** Takes any certificate: for looking at it. */
  readonly isUnverified?: boolean
}

function ask({ place, join, isSecure }: Place, path: string, asking: Asking, signal: AbortSignal): ClientRequest {
  const { ca, method = 'GET', isUnverified = false } = asking
  const url = `${place}${path}`
  // No connection is kept: each check makes its own.
  const dialling = { method, signal, agent: false as const, ...diallingOf(join.href) }
  const trusted = trustedWith(ca)
  const asked = isSecure
    ? secureRequest(url, {
        ...dialling,
        rejectUnauthorized: !isUnverified,
        ...(trusted ? { ca: trusted } : {})
      } as object)
    : request(url, dialling as object)
  asked.end()
  return asked
}

interface Answered {
  readonly response: IncomingMessage
  /** Milliseconds since the epoch. */
  readonly sentMs: number
  readonly rttMs: number
}

async function answered(asking: ClientRequest): Promise<Answered> {
  const sinceMs = performance.now()
  const sentMs = Date.now()
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  asking.on('error', () => {})
  return { response, sentMs, rttMs: performance.now() - sinceMs }
}
