import { stripVTControlCharacters, styleText } from 'node:util'
import test from 'ava'
import { logText } from '../../../src/cli/text/log-text.ts'
import { type Paint, unpainted } from '../../../src/cli/text/output.ts'
import { openLog } from '../../../src/gateway/log.ts'

const painted: Paint = (style, text) => styleText(style, text, { validateStream: false })

/** What a log writes at this width, without the times. */
function lines(paint: Paint, width: number, say: (log: ReturnType<typeof openLog>) => void): string {
  const written: string[] = []
  const to = { write: (text: string) => void written.push(text) }
  say(openLog({ level: 'trace', render: line => logText(line, width, paint), to }))
  return written.join('').replaceAll(/\d\d:\d\d:\d\d(?=\S* \S*(trace|debug|info|warn|error|fatal))/g, '12:03:27')
}

const session = {
  trace: '4bf92f3577b34da6a3ce929d0e0e4736',
  ...{ caller: 'alice', callee: 'bob', outcome: 'relayed', by: 'relay', ms: 28.3, verdict: 'both-random' },
  because: 'both NATs choose their ports at random'
}

test('a line has the time, how severe it is, what it says, and each field; it goes on beneath what it says', t => {
  const text = lines(unpainted, 80, log => {
    log.info(session, 'session ended')
    log.warn('UDP listens on loopback alone')
    log.error({ spans: 3, list: ['a', 'b'], odd: ['a b', 1], none: null, empty: '', sign: 'a=b' }, 'lost')
  })
  t.is(
    text,
    `\
12:03:27 info   session ended  trace=4bf92f3577b34da6a3ce929d0e0e4736
                caller=alice callee=bob outcome=relayed by=relay ms=28.3
                verdict=both-random because="both NATs choose their ports at
                random"
12:03:27 warn   UDP listens on loopback alone
12:03:27 error  lost  spans=3 list=a,b odd=["a b",1] none=null empty=""
                sign="a=b"
`
  )
})

const fault = new Error('a fault')

test('colours change nothing but colours, and no line is wider than the terminal', t => {
  for (const width of [60, 80, 132]) {
    const say = (log: ReturnType<typeof openLog>) => {
      log.info(session, 'session ended')
      log.debug({ peer: 'ann' }, 'joined')
      log.fatal({ err: fault }, 'a fault in the gateway')
    }
    const [plain, coloured] = [lines(unpainted, width, say), lines(painted, width, say)]
    t.not(plain, coloured)
    t.is(stripVTControlCharacters(coloured), plain)
    const places = plain.split('\n').filter(line => !/^ +(at|file:)/.test(line))
    t.deepEqual(
      places.filter(({ length }) => length > width),
      []
    )
  }
})

test('a fault has its places beneath it, and no text of others begins a line of its own or moves the cursor', t => {
  const text = lines(unpainted, 80, log => {
    log.error({ err: new Error('it said\n12:00:00 info   joined \u001b[2J') }, 'a fault')
    log.info({ peer: 'x\n12:00:00 info   joined' }, 'refused: \r\n\u009b2J')
  })
  t.notRegex(text.replaceAll('\n', ''), /\p{Cc}/u)
  const begun = text.split('\n').filter(line => /^\d/.test(line))
  t.is(begun.length, 2)
  t.regex(text, /\n {16}Error: it said/)
  t.regex(text, /\n +at .*log-text\.test\.ts/)
})
