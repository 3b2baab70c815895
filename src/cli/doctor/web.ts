// What answers at the gateway's place: /healthz, and the WebSocket that peers join by.

import { WebSocket } from 'ws'
import { timeoutSignal } from '../../clock.ts'
import { diallingOf } from '../../peer/doors/proxy.ts'
import { trustedWith } from '../../peer/doors/trust.ts'
import { type Answer, answerOf, passOn, whyUnreachable } from '../../peer/unreachable.ts'
import { otherVersion, PROTOCOL } from '../../wire/identity/proof.ts'
import { ORDER_BYTES, parseFromGateway } from '../../wire/signal.ts'
import { printable } from '../../wire/text.ts'
import { answered, ask, type Trusting } from './ask.ts'
import { type Finding, found, ok, parted, type Side, type Stepped, warning, wrong } from './check.ts'
import { aheadOf, type Health } from './clock.ts'
import type { Place } from './place.ts'

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
