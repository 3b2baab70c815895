// What people see of a trace, column by column.

import test from 'ava'
import { detailsOf } from '../../../src/cli/text/trace-details.ts'
import { renderTrace } from '../../../src/cli/text/trace-text.ts'
import { tracesTable } from '../../../src/cli/text/traces-table.ts'
import { movedRecord } from '../../gateway/http/pages/records.ts'
import { failed, relayed } from './traces-made.ts'

// Times are told in the zone of who reads them.
process.env.TZ = 'UTC'

const nowMs = failed.startMs + 60_000

test('a failed trace is told in 80 columns: verdict, clocks, and both sides under the plan that failed', t => {
  t.deepEqual(renderTrace(failed).split('\n'), wholeFailed)
})

test('a relayed trace is told in 80 columns, with what the relay granted and how it ended later', t => {
  t.deepEqual(renderTrace(relayed).split('\n'), wholeRelayed)
})

test('what became of a path later is told in one line, and what its peers said of it where they said it', t => {
  const text = renderTrace(movedRecord(), { width: 200 })
  t.regex(
    text,
    /\nsince {2}lost after 12 s: nothing was heard, seen by the callee; relayed again after 140 ms; 1 search .* in vain\n/
  )
  t.regex(text, /change {2}lost[\s\S]*nothing heard for 1\.2 s; told by the callee/)
  t.regex(text, /change {2}resumed[\s\S]*no stream could send for 140 ms; 2\.0 KiB sent once more/)
  t.regex(text, /again {2}direct {2}failed/)
  t.regex(text, /asked for by the callee\n/, 'what all searches have in common is told once, with the request')
})

test('why a path was lost stands below the verdict on the request, with what shows it, and is named in the list', t => {
  const record = movedRecord()
  const text = renderTrace(record, { width: 200 })
  t.regex(
    text,
    /\nlost 14:03:36 {2}address-changed: alice-laptop changed its network[^\n]*\n {2}evidence alice-laptop: seen at /
  )
  t.regex(text, /address-changed[\s\S]*to do[\s\S]*\nlanes/)
  const { spans: _, ...summary } = record
  const [, , sentence, lost] = tracesTable([{ ...summary, lost: ['nat-forgot', 'slept', 'nat-forgot'] }], { nowMs })
  t.regex(sentence ?? '', /could not be predicted/)
  t.is(lost, '  lost: nat-forgot twice, slept')
})

test('every width from 60 on is kept to and used, and no line is cut', t => {
  for (const width of [60, 80, 132, 200])
    for (const trace of [failed, relayed]) {
      const lines = renderTrace(trace, { width }).split('\n')
      t.is(Math.max(...lines.map(line => line.length)), width)
      t.false(lines.some(line => line.includes('…') && !line.includes('(…)')))
    }
})

test('a probe tells what its side could not do as ordered', t => {
  const times = { startMs: failed.startMs, endMs: failed.startMs + 9, events: [] }
  const attributes = { 'postern.sent': 9, 'postern.sockets': 200, 'postern.held': 12 }
  t.deepEqual(detailsOf({ id: 'x', name: 'postern.probe', ...times, attributes }), [
    'sent 9',
    "only 200 sockets, as many as there were open files for; 12 held back by the peer's own bounds"
  ])
})

test('long titles, spans far beneath each other and moments of any date keep to the width from 60 on', t => {
  const [root, ...others] = failed.spans
  const [first] = others
  if (!root || !first) return t.fail()
  const chain = Array.from({ length: 40 }, (_, at) => ({
    ...first,
    id: `s${at}`,
    parent: at > 0 ? `s${at - 1}` : 'root'
  }))
  const long = { ...first, attributes: { 'postern.sides': 'a long way to go', 'postern.outcome': 'any outcome' } }
  const odd = [
    { ...failed, spans: [root, { ...long, id: 'long', parent: 'root' }, ...chain] },
    { ...failed, startMs: -8.64e15 },
    { ...failed, startMs: 0, ms: 1e21 },
    { ...failed, ms: 8.64e15, spans: [{ ...root, startMs: 8.64e15, endMs: -8.64e15 }] }
  ]
  for (const width of [60, 80, 200])
    for (const trace of odd)
      for (const line of renderTrace(trace, { width }).split('\n')) t.true(line.length <= width, line)
})

test('a span and attributes that nobody has heard of are told as they are', t => {
  const strange = {
    id: 'x',
    parent: 'gone',
    name: 'postern.dance',
    startMs: failed.startMs + 5,
    endMs: failed.startMs + 9
  }
  const attributes = { 'postern.steps': [1, 2], 'postern.partner': 'carol', other: true }
  const events = [{ name: 'bow', atMs: failed.startMs + 6, attributes: { 'postern.deep': 'very' } }]
  const text = renderTrace({ ...failed, spans: [...failed.spans, { ...strange, attributes, events }] })
  t.regex(text, /^G +5\.0 +4\.0 +dance/m)
  t.regex(text, /steps 1, 2; partner carol; other yes\n +bow very \+1\.0$/m)
})

test('a peer that was refused is told as one that joins', t => {
  const [root] = failed.spans
  const attributes = { 'postern.peer': 'mallory', 'postern.outcome': 'failed', 'postern.code': 'bad-token' }
  const refused = {
    ...failed,
    caller: 'mallory',
    callee: '',
    by: 'bad-token',
    reason: 'the join token is wrong',
    verdict: { ...failed.verdict, code: 'bad-token', side: 'caller' as const },
    spans: root ? [{ ...root, name: 'postern.join', attributes, events: [] }] : []
  }
  const lines = renderTrace(refused).split('\n')
  t.is(lines[0], 'mallory joins  failed: bad-token  in 744.5 ms')
  t.is(lines[2], '  the join token is wrong')
  t.true(lines.includes('lanes    A mallory   G the gateway'))
  t.regex(lines.join('\n'), /^A +0\.0 +744\.5 {2}join {2}failed/m)
  t.true(
    (tracesTable([refused], { nowMs })[1] ?? '').startsWith(
      '12:40:27 0af76519 mallory (joins) failed     745 bad-token'
    )
  )
})

test('words that are not plain are explained below, and where there are none nothing is', t => {
  const [root] = failed.spans
  const plain = renderTrace({ ...failed, spans: root ? [{ ...root, events: [] }] : [] })
  t.notRegex(plain, /^words$/m)
  t.regex(renderTrace(relayed), /\n\nwords\n[\s\S]*^ {2}splice +both sides send to the gateway/m)
})

test('colours add nothing that is not in words or letters', t => {
  const paint = (_: unknown, text: string) => `<${text}>`
  const bare = (text: string) => text.replaceAll(/[<>]/g, '').replaceAll(/ +$/gm, '')
  t.is(bare(renderTrace(failed, { paint })), renderTrace(failed))
})

test('the list fits 80 columns: names are cut, codes are not, and why stands below', t => {
  const long = { ...relayed, caller: 'a'.repeat(40), callee: 'b'.repeat(40), by: 'a-plugin-of-my-own' }
  const verdict = { ...relayed.verdict, code: 'fingerprint-mismatch', sentence: 'word '.repeat(40) }
  const old = { ...long, id: 'c'.repeat(32), startMs: nowMs - 90_000_000, ms: 12_345.6, verdict }
  const direct = { ...relayed, id: 'd'.repeat(32), path: 'direct' as const, by: 'stun' }
  const table = tracesTable([failed, long, old, direct], { width: 80, nowMs })
  t.deepEqual(table, [
    'TIME        TRACE    CALLER  CALLEE  OUTCOME BY          MS VERDICT',
    '12:40:27    0af76519 alice   bob     failed             745 one-way',
    '  bob heard alice, and alice heard nothing of bob',
    '12:40:27    4bf92f35 aaaaaa… bbbbbb… relayed a-plugi…  61.0 both-random',
    '  both NATs choose their ports at random',
    '11-22 11:41 cccccccc aaaaaa… bbbbbb… relayed a-plugi… 12346 fingerprint-mismatch',
    `  ${'word '.repeat(40).slice(0, 77)}…`,
    '12:40:27    dddddddd carol   dave    direct  stun      61.0'
  ])
  t.is(Math.max(...table.map(line => line.length)), 80)
  t.true(tracesTable([old], { nowMs })[1]?.includes('a'.repeat(40)))
})

test('the ids of a list are as long as it takes to tell them apart', t => {
  const ids = ['0123456789ab', '0123456789cd'].map(start => start.padEnd(32, '0'))
  const table = tracesTable(
    ids.map(id => ({ ...relayed, id })),
    { nowMs }
  )
  t.regex(table[1] ?? '', / 0123456789a carol/)
  t.regex(table[3] ?? '', / 0123456789c carol/)
  const same = tracesTable([failed, failed], { nowMs })
  t.regex(same[1] ?? '', / 0af76519 alice/)
})

const wholeFailed = [
  'alice → bob  failed: no-path  in 744.5 ms',
  '2026-11-23 12:40:27 UTC  trace 0af7651916cd43dd8448eb211c80319c',
  '',
  'one-way: bob heard alice, and alice heard nothing of bob',
  '  at fault alice, the caller',
  '  evidence stun: bob received 14 of the datagrams alice sent',
  '           stun: alice received none of the 15 bob sent',
  '  to do    look for a firewall before alice that drops UDP from 198.51.100.9',
  '  also     relay-off',
  '',
  'lanes    A alice   B bob   G the gateway',
  "clocks   A +12.3 ms ±0.4, B −0.2 ms ±0.3 (the gateway's less its own)",
  '',
  '    start      ms  step                     0 ms     200       400       600',
  'G     0.0   744.5  connect  failed          ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━',
  '                     strategies: direct, stun',
  '                     gateway: 2 addresses; 4 UDP endpoints; relay configured:',
  '                       no; deadline 10 s',
  '                     session c7bbe127a5ec1239',
  'A -2200.0    31.5    join  path             ◂        ·         ·         ·',
  'G    14.0     0.2    profile  caller        ━        ·         ·         ·',
  '                       mapping endpoint-independent; filtering',
  '                         address-and-port-dependent',
  '                       seen at 192.0.2.5:4000; own port 50000; interfaces',
  '                         192.168.1.7/24; round trip 10.3 ms; guesses left 8192',
  '                       192.0.2.5:4000 seen by 203.0.113.6:3478, 203.0.113.7:3479',
  'G    14.0     0.2    profile  callee        ━        ·         ·         ·',
  '                       mapping endpoint-independent; filtering',
  '                         address-and-port-dependent',
  '                       seen at 198.51.100.9:41000; own port 50001; interfaces',
  '                         192.168.1.7/24; round trip 10.3 ms; guesses left 8192',
  '                       198.51.100.9:41000 seen by 203.0.113.6:3478,',
  '                         203.0.113.7:3479',
  'G    15.0     0.4    direct  passed         ━        ·         ·         ·',
  '                       both are behind a NAT, and share no network (unsuited)',
  'G    16.0   728.0    stun  failed           ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━',
  '                       no answer to any probe within 720 ms (unheard)',
  'G    16.5   727.0      plan  punch  failed  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━',
  '                         both mappings are endpoint-independent; at most 720 ms;',
  '                           label together',
  '                         no answer to any probe within 720 ms (unheard)',
  'A    22.0   716.0        probe  failed      ·◆━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━◆',
  '                           it was called off',
  '                           sent 15 (+0.1 to +700.0); received 0; 1 flow',
  'B    27.0   711.0        probe  failed      ·◆━◆━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━◆◆',
  '                           sent 15 (+0.1 to +700.0); received 14 (+45.4 to',
  '                             +695.9); 1 flow',
  '                           heard from 192.0.2.5:4000',
  '                           heard +45.5',
  '',
  'words',
  '  profile   what the gateway concludes of the NAT of one side',
  '  sample    where one endpoint of the gateway saw the socket',
  '  unsuited  there is nothing for this strategy to do here',
  "  unheard   no side found the path within the plan's time",
  '  plan      one try: both sides are ordered to send at the same moment',
  '  punch     both sides send probes to each other, so that each NAT lets the',
  '            other in',
  '  probe     one side sends and listens, in search of the other'
]

const wholeRelayed = [
  'carol → dave  relayed  in 61.0 ms',
  '2026-11-23 12:40:27 UTC  trace 4bf92f3577b34da6a3ce929d0e0e4736',
  '',
  'both-random: both NATs choose their ports at random',
  '  at fault both sides',
  '  evidence carol: random, 9 ports over 1024-65535',
  '           dave: random, 9 ports over 1024-65535',
  '           spray would have met with probability 0.001',
  '  to do    one side needs a NAT that keeps its ports, or a port that is',
  '           forwarded to it',
  '',
  'lanes    A carol   B dave   G the gateway',
  '',
  '    start      ms  step                     0 ms       20          40',
  'G     0.0    61.0  connect  path            ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━',
  '                     strategies: spray, relay',
  '                     relay configured: yes',
  'G    20.0     0.5    spray  passed          ·          ━           ·',
  '                       expected probability 0.1 %',
  '                       both random: 0.1 % in budget (unlikely)',
  'G    21.0    40.0    relay  path            ·          ·━━━━━━━━━━━━━━━━━━━━━━━━',
  'G    21.5    39.5      relay  splice  path  ·          ·━━━━━━━━━━━━━━━━━━━━━━━━',
  '                         every other strategy passed or failed; at most 2000 ms',
  '                         caller: latched from 192.0.2.5:4000',
  '                         callee: latched from 198.51.100.9:41000',
  '                         limits: 4 Mbit/s a session, 8 Mbit/s a peer, 100 Mbit/s',
  '                           in all',
  'A    36.0    25.0        handover  path     ·          ·         ━━━━━◆━━━━━━◆━◆',
  '                           192.168.1.7:50000 to 203.0.113.6:3478',
  '                           ice +9.0, dtls +21.0, sctp +25.0',
  'G   90000     0.0    change  ended          ·          ·           ·           ▸',
  '                       caller: 120.6 KiB forwarded; 0 datagrams dropped',
  '                       callee: 1.0 MiB forwarded; 3 datagrams dropped',
  '',
  'words',
  '  unlikely  its best plan is worth less than it asks for',
  '  splice    both sides send to the gateway, which forwards from one to the other',
  '  handover  the port on which a path was found passes on to ICE and DTLS, which',
  '            open the connection'
]
