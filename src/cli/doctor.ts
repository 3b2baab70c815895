// `postern doctor`: whether this computer can be a peer of a gateway, step by step, and who has to mend what is in the way.
//
//   url ─► name ─► tcp ─► tls ─► http, clock ─► websocket ─► token ─► udp, doors, packets ─► source, nat
//
// A step that fails leaves those behind it unchecked: what they would say is the same once more.

import { Command } from 'commander'
import type { Peer } from '../peer/peer.ts'
import { checkTls } from './doctor/certificate.ts'
import { type Check, Examination, type Stepped } from './doctor/check.ts'
import { checkClock, type Health } from './doctor/clock.ts'
import { checkDoors, checkNat, checkPackets, checkToken, checkUdp } from './doctor/peer.ts'
import { checkName, checkTcp, checkUrl, type Place } from './doctor/place.ts'
import { checkHttp, checkWebSocket } from './doctor/web.ts'
import { perform, type Run } from './door.ts'
import { FOUND_WRONG } from './exit-codes.ts'
import { join, tenths } from './meet.ts'
import { type JoinOptions, withJoinOptions } from './options.ts'
import { checkLine, summaryText } from './text/doctor-text.ts'

/** How long each step may take, in milliseconds. */
const LIMIT_MS = {
  name: 6000,
  tcp: 8000,
  tls: 10_000,
  http: 10_000,
  websocket: 10_000,
  token: 15_000,
  reach: 25_000,
  nat: 25_000
}

export function doctorCommand(): Command {
  return withJoinOptions(new Command('doctor'))
    .summary('check step by step whether this computer reaches a gateway')
    .description(
      'Checks step by step whether this computer can be a peer of a gateway, and says what is to be mended, and by whom: ' +
        'by you, in your network, or by whoever runs the gateway.'
    )
    .argument('[gateway]', 'its URL (default: that of --gateway)')
    .addHelpText(
      'after',
      `
Examples:
  postern doctor https://postern.example.org
  postern doctor --json            a line for each check, then one named doctor

Exit codes: 0 nothing is wrong, whatever there is to warn of; 2 something is.

Without a token it goes as far as the WebSocket. With one it joins as a guest,
whom nobody can call, and connects to nobody.`
    )
    .action((gateway: string | undefined, options: JoinOptions, command: Command) => {
      const isChosen = gateway !== undefined || command.getOptionValueSource('gateway') !== 'default'
      return perform(options, run => examine({ ...options, gateway: gateway ?? options.gateway }, isChosen, run))
    })
}

async function examine(options: JoinOptions, isChosen: boolean, run: Run): Promise<void> {
  const { output, signal, endsWith } = run
  const look = () => ({ width: output.width, paint: output.paint.bind(output) })
  const tell = (check: Check) => {
    const { check: name, outcome, facts, ms, ...rest } = check
    // What was not checked is told in one line at the end.
    const line = outcome === 'unchecked' ? undefined : checkLine(check, look())
    output.tell({ event: 'check', check: name, outcome, ms: tenths(ms), ...rest, ...facts }, line)
  }
  const examination = new Examination(tell, signal)
  await walk(examination, options, isChosen, run)
  examination.leaveRest('something before it is in the way')
  const { done } = examination
  const of = (outcome: Check['outcome']) => done.filter(check => check.outcome === outcome).length
  const [wrong, warnings] = [of('wrong'), of('warning')]
  const outcome = wrong > 0 ? 'wrong' : warnings > 0 ? 'warning' : 'ok'
  output.tell({ event: 'doctor', outcome, wrong, warnings, unchecked: of('unchecked') }, summaryText(done, look()))
  if (wrong > 0) endsWith(FOUND_WRONG)
}

/** From the URL to the token. */
async function walk(examination: Examination, options: JoinOptions, isChosen: boolean, run: Run): Promise<void> {
  const place = await examination.step('url', LIMIT_MS.name, () => checkUrl(options.gateway, isChosen))
  if (!place) return
  const addresses = await examination.step('name', LIMIT_MS.name, () => checkName(place))
  if (!addresses) return
  if (!(await examination.step('tcp', LIMIT_MS.tcp, signal => checkTcp(place, addresses, signal)))) return
  if (!(await examination.step('tls', LIMIT_MS.tls, signal => checkTls(place, options, signal)))) return
  if (!(await checkWeb(examination, place, options))) return
  if (!options.token) return examination.leaveRest('it takes the join token: --token, or POSTERN_TOKEN')
  const joining = (signal: AbortSignal) => join(options, { accepts: false }, { output: run.output, signal })
  const peer = await examination.step('token', LIMIT_MS.token, signal => checkToken(joining(signal)))
  if (!peer) return
  try {
    await checkJoined(examination, peer, run)
  } finally {
    await peer.close()
  }
}

/** What is told of /healthz counts for less if peers can join all the same. */
async function checkWeb(examination: Examination, place: Place, options: JoinOptions): Promise<boolean> {
  let webSocket: Stepped<true> | undefined
  const health = await examination.step<Health>('http', LIMIT_MS.http + LIMIT_MS.websocket, async signal => {
    const stepped = await checkHttp(place, options, signal)
    if (stepped.value) return stepped
    const tried = await checkWebSocket(place, options, signal)
    if (!tried.value) return stepped
    webSocket = tried
    return {
      findings: stepped.findings.map(finding => ({ ...finding, outcome: 'warning' as const })),
      value: { aheadMs: undefined }
    }
  })
  if (!health) return false
  await examination.step('clock', LIMIT_MS.http, () => checkClock(health))
  const tried = webSocket
  return (
    (await examination.step(
      'websocket',
      LIMIT_MS.websocket,
      signal => tried ?? checkWebSocket(place, options, signal)
    )) ?? false
  )
}

async function checkJoined(examination: Examination, peer: Peer, { output }: Run): Promise<void> {
  const seen = await examination.step('udp', LIMIT_MS.reach, async signal => {
    const reached = await peer.reach(signal)
    const { findings, value: isOpen = false } = checkUdp(reached)
    return { findings, value: { reached, isOpen } }
  })
  if (!seen) return
  const { reached, isOpen } = seen
  await examination.step('doors', LIMIT_MS.reach, () => checkDoors(reached, isOpen))
  await examination.step('packets', LIMIT_MS.reach, () => checkPackets(reached))
  if (!isOpen) return examination.leaveRest('no UDP endpoint answers')
  const onSocket = (number: number) => output.bar(`looking at socket ${number} …`)
  const nat = await examination.step('source', LIMIT_MS.nat, async signal => {
    const { source, nat } = await checkNat(peer, signal, onSocket)
    return { findings: [source], value: nat }
  })
  if (nat) await examination.step('nat', LIMIT_MS.nat, () => ({ findings: [nat], value: true }))
}
