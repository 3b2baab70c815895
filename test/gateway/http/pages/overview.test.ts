import { readFileSync } from 'node:fs'
import test from 'ava'
import { counters, labelOf, numbersIn } from '../../../../src/gateway/http/pages/counters.ts'
import { traceTable } from '../../../../src/gateway/http/pages/list.ts'
import { type Overview, overviewPage } from '../../../../src/gateway/http/pages/overview.ts'
import type { TraceRecord } from '../../../../src/trace/record/record.ts'
import { verdicts } from '../../../../src/verdict.ts'
import { until } from '../../../until.ts'
import { World } from '../../../world.ts'
import { failedRecord, relayedRecord } from './records.ts'

const nowMs = Date.UTC(2026, 10, 23, 15, 0, 0)

const page = (given: Partial<Overview> = {}) =>
  String(
    overviewPage({
      ...{ traces: [], status: {}, warnings: [], nowMs, session: false, present: { peers: [], relayed: [] } },
      ...given
    })
  )

/** A request that ended so, by its verdict. */
const ended = (code: string, more: Partial<TraceRecord> = {}): TraceRecord => ({
  ...failedRecord(),
  by: code,
  ...more,
  verdict: { ...failedRecord().verdict, code }
})

const direct = (by = 'stun') => ended('direct', { outcome: 'path', path: 'direct', by })

/** Categories of a plot with their counts, and shares where they are told. */
function legend(text: string, id: string): string[] {
  const [, figure = ''] = new RegExp(`aria-labelledby="${id}-title">([\\s\\S]*?)</figure>`).exec(text) ?? []
  const [, table = ''] = /<table class="legend">([\s\S]*?)<\/table>/.exec(figure) ?? []
  return [...table.matchAll(/<tr><th scope="row">([\s\S]*?)<\/tr>/g)].map(([, row = '']) =>
    row
      .replace(/<[^>]+>/g, ' ')
      .trim()
      .split(/ {2,}/)
      .join(' ')
  )
}

test('shares are told of attempts that could have had a path: not of unknown names, refused pins and who is away', t => {
  const refused = ['unknown-peer', 'peer-offline', 'fingerprint-mismatch', 'self-connect', 'silent-peer']
  const traces = [direct(), direct(), ...refused.map(code => ended(code)), ended('both-random', { by: 'no-path' })]
  const text = page({ traces: [...traces, ended('bad-token', { callee: '' })] })
  t.regex(text, /<dt>Direct<\/dt><dd><b>67 %<\/b> <span>of 3 attempts<\/span>/)
  t.deepEqual(legend(text, 'by-strategy'), ['stun 2 67 %', 'failed 1 33 %'])
  const counts = legend(text, 'by-verdict').map(row => Number(row.split(' ').at(-1)))
  t.is(
    counts.reduce((sum, count) => sum + count),
    traces.length + 1,
    'all of them have a verdict, and no share of anything'
  )
  t.regex(page({ traces: [ended('unknown-peer')] }), /<b>–<\/b> <span>of 0 attempts/)
})

test('plugins stand between the cheap strategies and the relay, and a failure on top', t => {
  const relayed = ended('both-random', { outcome: 'path', path: 'relay', by: 'relay' })
  const traces = [ended('deadline', { by: 'no-path' }), relayed, direct('mine'), direct('direct')]
  t.deepEqual(
    legend(page({ traces }), 'by-strategy').map(row => row.split(' ')[0]),
    ['direct', 'mine', 'relay', 'failed']
  )
})

test('a failed request is told by its verdict, and has no strategy beside it', t => {
  const row = String(traceTable([failedRecord()]))
  t.is(row.split('peer-offline').length - 1, 1)
  t.regex(String(traceTable([relayedRecord()])), /<td class="by">relay<\/td>/)
})

test('who is joined and what is relayed now is told, the first of them at once', async t => {
  await using world = await World.open({ strategies: '[relay]', more: 'admin: { open: loopback }' })
  await Promise.all(Array.from({ length: 9 }, (_, at) => world.join(`bob-${at}`)))
  const ann = await world.join('ann', { accepts: false })
  const connection = await ann.connect({ name: 'bob-3' })
  const text = await until(async () => {
    const said = await (await fetch(world.url, { headers: { accept: 'text/html' } })).text()
    const [, present = ''] = /<div id="present"[^>]*>([\s\S]*?)<section id="last"/.exec(said) ?? []
    return present.includes('</span> bob-3') && !/idle socket/.test(present) && present
  })
  t.regex(text, /ann<\/a>[\s\S]*?calls, and takes no calls/)
  for (let at = 0; at < 9; at++) t.true(text.includes(`>bob-${at}</a>`), `${at}`)
  t.regex(text, /<summary>2 more<\/summary>/)
  t.regex(text, new RegExp(`href="./traces/${connection.path.trace}">ann <span class="arrow">→</span> bob-3`))
  t.regex(text, /[\d.]+ KiB/)
  await connection.close()
  await ann.close()
})

test('counters at zero are folded away, and what counts requests says of which', t => {
  const status = { peers: 3, sessions: { started: 2, failed: 0, now: 1, relayed: 0 }, udp: { plain: 5, foreign: 0 } }
  const [open = '', folded = ''] = String(counters(status)).split('<details')
  t.regex(open, /Requests between two peers[\s\S]*begun: both were there<\/dt><dd class="number">2</)
  t.regex(open, /told their address \(STUN\)<\/dt><dd class="number">5</)
  t.notRegex(open, /<dd class="number">0</)
  t.regex(
    folded,
    /<summary>2 counters at zero<\/summary>[\s\S]*of these, ended without a path[\s\S]*no question to a STUN server/
  )
})

test('every counter that a gateway has is told in words', async t => {
  await using world = await World.open({ more: 'traces: { file: ./kept/traces.jsonl }' })
  const status = { ...(await world.gateway.status()), sessions: { started: 0, failed: 0, won: { stun: 1 } } }
  const names = [...numbersIn(status).keys()].filter(name => name.includes(' '))
  t.true(names.length > 40)
  for (const name of names) {
    const [part = '', ...words] = name.split(' ')
    t.truthy(labelOf(part, words.join(' ')), name)
  }
})

// The colours, as the style has them.

const style = readFileSync(new URL('../../../../src/gateway/http/pages/style/base.css', import.meta.url), 'utf8')

type Colour = readonly [number, number, number]

/** Linear light, 0 to 1. */
const linear = (hex: string): Colour => {
  const part = (at: number) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  }
  return [part(1), part(3), part(5)]
}

/** By name, of the day or of the night. */
function coloursOf(scheme: 'light' | 'dark'): Map<string, Colour> {
  const [light = '', dark = ''] = style.split('@media (prefers-color-scheme: dark)')
  const all = (scheme === 'light' ? light : dark).matchAll(/--([a-z0-9-]+): (#[0-9a-f]{3,6});/g)
  const long = (hex: string) => (hex.length === 4 ? hex.replace(/[0-9a-f]/g, '$&$&') : hex)
  return new Map([...all].map(([, name = '', hex = '']) => [name, linear(long(hex))]))
}

const times = (rows: readonly Colour[], colour: Colour): Colour =>
  rows.map(row => row.reduce((sum, factor, at) => sum + factor * (colour[at] ?? 0), 0)) as unknown as Colour

/** Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", severity 1. */
const visions: Readonly<Record<string, readonly Colour[]>> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1]
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998]
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881]
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039]
  ]
}

/** Björn Ottosson's Oklab, in which equal distances look alike. */
function oklab(colour: Colour): Colour {
  const cones = times(
    [
      [0.4122214708, 0.5363325363, 0.0514459929],
      [0.2119034982, 0.6806995451, 0.1073969566],
      [0.0883024619, 0.2817188376, 0.6299787005]
    ],
    colour.map(part => Math.min(1, Math.max(0, part))) as unknown as Colour
  ).map(Math.cbrt) as unknown as Colour
  return times(
    [
      [0.2104542553, 0.793617785, -0.0040720468],
      [1.9779984951, -2.428592205, 0.4505937099],
      [0.0259040371, 0.7827717662, -0.808675766]
    ],
    cones
  )
}

const apart = (a: Colour, b: Colour) => Math.hypot(...oklab(a).map((part, at) => part - (oklab(b)[at] ?? 0)))

const light = ([r, g, b]: Colour) => 0.2126 * r + 0.7152 * g + 0.0722 * b

const strategies = /^s-/
const answers = /^v/

test('the colours of a plot are told apart, by day and by night, by the colour-blind too, and stand out from the card', t => {
  for (const scheme of ['light', 'dark'] as const) {
    const colours = coloursOf(scheme)
    const card = colours.get('card') ?? [1, 1, 1]
    for (const kind of [strategies, answers]) {
      const plot = [...colours].filter(([name]) => kind.test(name) || name === 'other')
      t.true(plot.length >= 8, `${plot.length}`)
      for (const [vision, matrix] of Object.entries(visions))
        for (const [at, [name, colour]] of plot.entries())
          for (const [other, colourOfOther] of plot.slice(at + 1)) {
            const distance = apart(times(matrix, colour), times(matrix, colourOfOther))
            t.true(distance > 0.065, `${scheme}, ${vision}: ${name} and ${other} are ${distance.toFixed(3)} apart`)
          }
      for (const [name, colour] of plot) {
        const [a = 0, b = 0] = [light(colour), light(card)].sort((x, y) => y - x)
        t.true((a + 0.05) / (b + 0.05) >= 3, `${scheme}: ${name} stands out by ${((a + 0.05) / (b + 0.05)).toFixed(2)}`)
      }
    }
  }
})

test('no verdict has the colour of a strategy', t => {
  for (const scheme of ['light', 'dark'] as const) {
    const colours = [...coloursOf(scheme)]
    for (const [name, colour] of colours.filter(([one]) => answers.test(one)))
      for (const [other, colourOfOther] of colours.filter(([one]) => strategies.test(one)))
        t.true(apart(colour, colourOfOther) > 0.065, `${scheme}: ${name} and ${other}`)
  }
  const obstacles = Object.keys(verdicts)
    .slice(1, 7)
    .map(code => ended(code))
  const drawn = page({ traces: [...obstacles, direct('direct'), direct('stun')] })
  const [, byVerdict = ''] = drawn.split('id="by-verdict-title"')
  t.notRegex(byVerdict.split('</figure>')[0] ?? '', /class="s-/)
})

test('a verdict that is no verdict, as a damaged file may have it, keeps nobody from the overview', t => {
  t.true(page({ traces: [ended('half a \ud83d')] }).includes('traces?verdict=half%20a%20%EF%BF%BD'))
})
