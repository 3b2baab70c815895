// The counters of the status in words. Those at zero are folded away: what has never happened is no news.

import { formatBytes } from '../../../units.ts'
import { type Html, html } from './html.ts'
import { grouped } from './words.ts'

/** Headings by the part of the gateway that counts, and what each of its counters says. A key that is missing is shown as it is. */
const parts: Readonly<Record<string, readonly [heading: string, labels: Readonly<Record<string, string>>]>> = {
  sessions: [
    'Requests between two peers',
    {
      started: 'begun: both were there',
      failed: 'of these, ended without a path',
      refused: 'refused: no room',
      'won *': 'of these, a path by *',
      limits: 'times that a side was told what the relay lets through',
      'again * started': 'searches for another path of a connection: *',
      'again * moved': 'of these, found one: *',
      'again * failed': 'of these, found none: *',
      'again refused': 'not begun: no room, one was under way, or the other side had gone',
      'again news told': 'moments of a path, as its peers told them',
      'again news unrecorded': 'the same, in no trace: there were so many',
      'again news foreign': 'the same, of a connection that is not known, or not the peer’s'
    }
  ],
  reloads: [
    'Configurations that were read again',
    { applied: 'the gateway goes by them', refused: 'with a mistake, so that nothing changed' }
  ],
  drain: [
    'The end of this gateway',
    { begun: 'it has begun: nothing new is taken', refused: 'requests and joins that came too late' }
  ],
  relay: [
    'Relay',
    {
      '* sent bytes': 'forwarded from *s',
      '* sent datagrams': 'datagrams forwarded from *s',
      '* queued': 'of these, had to wait for a limit',
      '* delayed': 'of these, sent after they had waited',
      '* delayed ms': 'milliseconds that these waited, all together',
      '* dropped bytes': 'dropped from *s',
      '* dropped session': 'datagrams of *s above the limit of a session',
      '* dropped peer': 'datagrams of *s above the limit of a peer',
      '* dropped network': 'datagrams of *s above the limit of a network',
      '* dropped total': 'datagrams of *s above the limit of all together',
      '* dropped unlatched': 'datagrams of *s before the other side had come'
    }
  ],
  udp: [
    'Datagrams that were not relayed',
    {
      authenticated: 'of peers, with the right key',
      challenged: 'of browsers: asked for their key (TURN)',
      unproved: 'of these, from an address that was not proved yet',
      refused: 'of peers, with a wrong key',
      plain: 'of strangers: told their address (STUN)',
      discovery: 'of strangers: told what their NAT does',
      unhonoured: 'of strangers: wanted what is not offered',
      'discovery limited': 'of strangers: wanted the latter too often',
      limited: 'too many of one source, not answered',
      foreign: 'no question to a STUN server'
    }
  ],
  overload: [
    'Datagrams that were lost here',
    {
      received: 'before they were read: the kernel’s buffer was full',
      strangers: 'of no relayed peer: too many waited for the gateway',
      sent: 'on the way out: the kernel took no more'
    }
  ],
  checks: [
    'Browsers that are relayed',
    {
      asked: 'asked to answer from where their check came',
      latched: 'answered, and relayed from there',
      refused: 'checks and answers with a wrong key',
      limited: 'checks not looked into: too many had not answered'
    }
  ],
  doors: [
    'Ways to the relay',
    {
      '* open': 'connections by * now',
      '* opened': 'connections by *',
      '* broken': 'of these by *, closed: what came was no datagram of a peer',
      '* idle': 'of these by *, closed: nothing of use came in time',
      '* dropped': 'datagrams for * dropped: others waited before them for too long',
      'latched *': 'sides that are relayed by * now'
    }
  ],
  signalling: [
    'Joins and messages',
    {
      joined: 'joins',
      refused: 'joins refused, and peers turned away',
      'full peers': 'of these, told to wait: no seat was left for them',
      'full joins per certificate': 'of these, told to wait: their certificate was joined too often',
      'full strangers': 'of these, told to wait: others needed their connection before they had joined',
      'full wrong tokens': 'of these, refused unseen: too many wrong tokens, or links of rooms, of their network',
      'full knocks': 'of these, told to wait: so many guests had come to their room',
      unrecorded: 'joins and requests refused that are in no trace: there were so many',
      malformed: 'messages that broke the protocol',
      slowed: 'times that a peer sent too much and was held back',
      flooded: 'peers turned away: nothing was left to keep in what they sent'
    }
  ],
  http: [
    'Connections',
    {
      open: 'open now',
      shed: 'closed for others before they had joined',
      starved: 'the same, since file descriptors ran out',
      busy: 'requests refused: too many of one network under way',
      unread: 'closed, since their answers were not read'
    }
  ],
  proxies: [
    'Proxies in front of the gateway',
    {
      ignored: 'requests for others, as somebody says who is not trusted: counted as his own',
      unclear: 'requests refused: their proxy does not say clearly for whom it asks',
      missing: 'connections of proxies closed: the PROXY header was missing',
      foreign: 'connections closed: a PROXY header that was not asked of them',
      malformed: 'the same, since it was no header that is taken',
      late: 'the same, since it did not end'
    }
  ],
  names: [
    'Names',
    {
      known: 'that belong to somebody',
      full: 'claims refused: the table is full',
      limited: 'claims refused: too many of one certificate',
      unkept: 'claims refused: the disk takes nothing'
    }
  ],
  rooms: [
    'Rooms',
    {
      open: 'open now',
      inside: 'guests inside',
      waiting: 'guests that wait to be let in',
      made: 'made',
      refused: 'not made: there were so many, or their network or certificate had its share',
      unkept: 'not made, or not closed: the disk takes nothing'
    }
  ],
  forwards: [
    'Ports forwarded to peers',
    {
      tried: 'tested',
      proved: 'of these, lead to their peer',
      unheard: 'of these, lead nowhere',
      refused: 'not tested: no address that may be tried',
      limited: 'not tested yet: claimed too often'
    }
  ],
  tests: [
    'Tests of networks',
    {
      now: 'under way',
      kept: 'results kept now',
      'done *': 'ended with the verdict: *',
      limited: 'told to wait: their network had had its tests of the minute',
      full: 'told to wait: so many were under way',
      busy: 'told to wait: no time for judging',
      late: 'ended without a result: their time was over',
      malformed: 'ended without a result: something else was said'
    }
  ],
  judgements: ['Networks judged', { refused: 'not judged: their network had used up its time' }],
  probes: [
    'Guesses',
    {
      refused: 'plans not tried: their address had enough probes of others',
      'refused in background': 'the same, where a connection stood already'
    }
  ],
  traces: [
    'Traces',
    {
      kept: 'kept now',
      bytes: 'memory of these',
      evicted: 'removed to make room',
      late: 'steps told after their request had ended',
      lost: 'steps that had no place any more',
      'file written': 'lines written to the file',
      'file skipped': 'lines of the file that are no traces',
      'file dropped': 'lines not written: the disk is slow',
      'file failed': 'lines not written: the disk refuses'
    }
  ],
  spans: [
    'Spans for the collector',
    {
      exported: 'taken',
      dropped: 'dropped: too many waited',
      overweight: 'dropped: those that waited took too much memory',
      refused: 'refused with their batch',
      expired: 'given up: the collector was away, or took nothing, for five minutes',
      rejected: 'rejected one by one'
    }
  ],
  collector: [
    'Collector',
    {
      waiting: 'spans that wait now',
      bytes: 'memory of these',
      retries: 'tries in vain',
      'retry after': 'the same, and it said when to come again'
    }
  ],
  access: [
    'Who looks at this',
    {
      'logged in': 'logins',
      'wrong tokens': 'wrong tokens and links',
      limited: 'refused unseen, after too many wrong ones',
      keys: 'traces read by their own callers',
      'wrong keys': 'keys for these that are not good'
    }
  ]
}

interface Counter {
  readonly part: string
  readonly label: string
  readonly count: number
  readonly isBytes: boolean
}

/** These are told elsewhere on the page. */
const present = new Set(['peers', 'hidden', 'twins', 'sessions now', 'sessions relayed'])

export function counters(status: object): Html {
  const all = [...numbersIn(status)].filter(([name]) => !present.has(name)).map(counterOf)
  const zero = all.filter(({ count }) => count === 0)
  const some = Map.groupBy(
    all.filter(({ count }) => count !== 0),
    ({ part }) => part
  )
  return html`<h2>Since the gateway started</h2>
${some.size > 0 ? html`<div class="counters">${[...some].map(([part, figures]) => box(part, figures))}</div>` : html`<p class="empty">Nothing was counted yet.</p>`}
${zero.length > 0 && html`<details id="counters-zero" class="zero"><summary>${zero.length} counters at zero</summary><div class="counters">${[...Map.groupBy(zero, ({ part }) => part)].map(([part, figures]) => box(part, figures))}</div></details>`}`
}

const box = (part: string, figures: readonly Counter[]): Html =>
  html`<section class="card"><h3>${parts[part]?.[0] ?? part}</h3><dl>${figures.map(
    ({ label, count, isBytes }) =>
      html`<div><dt>${label}</dt><dd class="number">${isBytes ? formatBytes(count) : grouped(count)}</dd></div>`
  )}</dl></section>`

function counterOf([name, count]: readonly [string, number]): Counter {
  const [part = '', ...words] = name.split(' ')
  const rest = words.join(' ')
  return { part, label: labelOf(part, rest) ?? rest, count, isBytes: words.at(-1) === 'bytes' }
}

/** A star in a key stands for one word or more, which takes the place of the star in the label. */
export function labelOf(part: string, counter: string): string | undefined {
  for (const [key, label] of Object.entries(parts[part]?.[1] ?? {})) {
    const [before = '', after] = key.split('*')
    if (after === undefined ? key === counter : counter.startsWith(before) && counter.endsWith(after))
      return label.replace('*', counter.slice(before.length, counter.length - (after?.length ?? 0)))
  }
  return undefined
}

/** Every number of the status, by the words that lead to it. */
export function numbersIn(status: object, path: readonly string[] = []): Map<string, number> {
  return new Map(
    Object.entries(status).flatMap(([key, value]: [string, unknown]) => {
      const here = [...path, ...key.split(/(?=[A-Z])/).map(word => word.toLowerCase())]
      if (typeof value === 'number') return [[here.join(' '), value] as const]
      return typeof value === 'object' && value !== null ? [...numbersIn(value, here)] : []
    })
  )
}
