// The result of a network test as a page: one headline, with whom calls are direct, what to change, and what was seen, folded.

import { advice, details, foretold, headlines, whom, result as words } from '../../../network-words.ts'
import { percent } from '../../../units.ts'
import { TEST_PATH } from '../../../wire/nettest/path.ts'
import { type Chance, type Prospect, type TestResult, type Verdict, type Word, wordOf } from '../../nettest/result.ts'
import { KEPT_MS } from '../../nettest/results.ts'
import { type Html, html } from './html.ts'

type Open = Extract<TestResult, { udp: 'open' }>

/** @param ports UDP ports of the gateway that a network has to let out */
export function testResult(result: TestResult, ports: readonly number[]): Html {
  const [headline, plain] = headlines[result.verdict]
  const sentence = result.verdict === 'most' && isHard(result) ? foretold : plain
  const inside = result.udp === 'open' && result.inside
  return html`<main id="main">
<p class="kicker">${words.kicker}</p>
<header class="verdict ${toneOf[result.verdict]}">${mark(toneOf[result.verdict])}<div><h1>${headline}</h1><p>${sentence}</p></div></header>
${inside && html`<p class="aside">${details.inside[inside]}</p>`}
${result.udp === 'open' && table(result.prospects)}
<section><h2>${advice.title}</h2><ul class="advice">${adviceFor(result, ports).map(one => html`<li>${one}</li>`)}</ul></section>
<details><summary>${details.title}</summary><dl>${rowsOf(result).map(([name, text]) => html`<div><dt>${name}</dt><dd>${text}</dd></div>`)}</dl></details>
<div class="deeds"><a class="button" href="${TEST_PATH}">${words.again}</a><button type="button" class="quiet" data-copy hidden>${words.copy}</button><span role="status"></span></div>
<p class="note">${words.kept(minute(result.atMs), minute(result.atMs + KEPT_MS))}</p>
</main>`
}

type Tone = 'good' | 'fair' | 'bad'

const toneOf: Readonly<Record<Verdict, Tone>> = {
  ...{ most: 'good', probably: 'good', some: 'fair', relayed: 'fair', blocked: 'fair' },
  ...{ 'cut-off': 'bad', hidden: 'bad' }
}

/** A shape for each tone, and for each word, so that nothing is told by colour alone. */
const shapes: Readonly<Record<Tone | Word, Html>> = {
  good: html`<path d="M3 8.5l3.2 3.2L13 4.8"/>`,
  fair: html`<path d="M2.5 11.5L8 4.5l5.5 7"/><circle cx="8" cy="4.5" r="1.5"/>`,
  bad: html`<path d="M4 4l8 8M12 4l-8 8"/>`,
  direct: html`<path d="M3 8.5l3.2 3.2L13 4.8"/>`,
  perhaps: html`<path d="M3 9c2-4 3.5-4 5-1s3 3 5-1"/>`,
  relayed: html`<path d="M2.5 11.5L8 4.5l5.5 7"/><circle cx="8" cy="4.5" r="1.5"/>`
}

const mark = (of: Tone | Word): Html => html`<svg viewBox="0 0 16 16" aria-hidden="true">${shapes[of]}</svg>`

function table(prospects: readonly Prospect[]): Html {
  const row = ({ peer, page, node }: Prospect) => {
    const [name, where] = whom.peers[peer] ?? [peer, '']
    return html`<tr><th scope="row">${name}<small>${where}</small></th><td>${chance(page)}</td><td>${chance(node)}</td></tr>`
  }
  return html`<section><h2>${whom.title}</h2><table class="whom"><caption class="hidden">${whom.caption}</caption>
<thead><tr><th scope="col">${whom.peer}</th><th scope="col">${whom.page}</th><th scope="col">${whom.node}</th></tr></thead>
<tbody>${prospects.map(row)}</tbody></table>
<p class="note">${whom.note}</p></section>`
}

function chance(of: Chance): Html {
  const word = wordOf(of)
  return html`<span class="word ${word}">${mark(word)}${whom.words[word]}</span>${word === 'perhaps' && of.most < 1 && html`<small>${whom.share(percent(of.most))}</small>`}`
}

function adviceFor(result: TestResult, ports: readonly number[]): readonly string[] {
  if (result.udp === 'hidden') return [advice.hidden]
  if (result.udp === 'open') return openAdvice(result)
  const blocked = result.isUnbound ? [advice.unbound] : [advice.udp(portsText(ports))]
  return [...blocked, advice.vpn, ...(result.hasDoor ? [] : [advice.door])]
}

const isHard = (result: TestResult): boolean =>
  result.udp === 'open' && !['endpoint-independent', 'unknown'].includes(result.mapping)

function openAdvice(result: Open): readonly string[] {
  const { mapping, isSplit } = result
  const given = [
    ...(isHard(result) ? [advice.symmetric, advice.carrier] : []),
    ...(isSplit ? [advice.split] : []),
    ...(isHard(result) && !isSplit ? [advice.vpn] : []),
    ...(mapping === 'unknown' ? [advice.oneAddress] : [])
  ]
  return given.length > 0 ? given : [advice.none]
}

const portsText = (ports: readonly number[]): string =>
  ports.length < 2 ? `port ${ports.join()}` : `ports ${ports.slice(0, -1).join(', ')} and ${ports.at(-1)}`

type Row = readonly [name: string, text: string]

function rowsOf(result: TestResult): Row[] {
  const { udp, rttMs } = result
  const door = udp === 'blocked' ? (result.hasDoor ? 'open' : 'shut') : 'untried'
  return [
    [details.udp, details.udpIs[udp]],
    ...(udp === 'open' ? openRows(result) : []),
    [details.door, details.doorIs[door]],
    [details.rtt, rttMs > 0 ? details.rttIs(rttMs, udp === 'blocked' ? 'web' : 'udp') : details.unknown]
  ]
}

function openRows(result: Open): Row[] {
  const { mapping, ports, addresses } = result
  const chosen =
    ports && `${details.portsAre[ports.kind](ports.step, ports.size)} ${details.sure(percent(ports.confidence))}`
  return [
    [details.mapping, details.mappingIs[mapping]],
    ...(chosen && mapping !== 'unknown' ? [[details.ports, chosen] as const] : []),
    [details.filter, details.filterIs],
    [details.nat, isHard(result) ? details.natIs : details.natUnknown],
    [details.addresses, details.addressesAre(addresses)]
  ]
}

/** `2026-11-30 15:48`. */
const minute = (atMs: number): string => new Date(atMs).toISOString().replace('T', ' ').slice(0, 16)
