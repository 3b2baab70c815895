// The certificate at the gateway's place: whether a peer would trust it, and if not, what is there in its stead.

import type { ClientRequest } from 'node:http'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { messageOf } from '../../errors.ts'
import { refusePublic } from '../../peer/gateway-url.ts'
import { type Answer, answerOf, whyUnreachable } from '../../peer/unreachable.ts'
import { roughly } from '../../units.ts'
import { printable } from '../../wire/text.ts'
import { answered, ask, type Trusting } from './ask.ts'
import { type Finding, found, ok, parted, type Side, type Stepped, warning, wrong } from './check.ts'
import { aheadOf, clockWrong } from './clock.ts'
import type { Place } from './place.ts'

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
