// What pages of a call take of each other's lines: a stranger writes them.

import test from 'ava'
import {
  CHAT_CHARACTERS,
  FILE_BYTES,
  FILE_NAME_CHARACTERS,
  LINE_BYTES,
  NAME_CHARACTERS
} from '../../src/call/model/limits.ts'
import { type Line, Lines, lineText, parseLine } from '../../src/call/model/line.ts'

const lines: readonly Line[] = [
  { type: 'about', v: 1, name: 'Ann', microphone: true, picture: 'camera' },
  { type: 'chat', text: 'two\nlines, and 🐶' },
  { type: 'file', id: 3, name: 'plan.pdf', size: 300_000 },
  { type: 'take', id: 3 },
  { type: 'refuse', id: 0 },
  { type: 'withdraw', id: 7 }
]

test('lines that are said are heard as they were said, however their bytes are cut', t => {
  const bytes = new TextEncoder().encode(lines.map(lineText).join(''))
  for (const step of [1, 7, bytes.length]) {
    const heard = new Lines()
    const found: (Line | undefined)[] = []
    for (let at = 0; at < bytes.length; at += step)
      found.push(...heard.of(bytes.subarray(at, at + step)).map(parseLine))
    t.deepEqual(found, lines)
  }
})

test('what is no line is dropped', t => {
  const wrong = [
    '',
    'null',
    '7',
    '[]',
    '{',
    '{}',
    '{"type":"about"}',
    '{"type":"about","v":1,"name":"Ann","microphone":"yes","picture":"camera"}',
    '{"type":"about","v":1,"name":"Ann","microphone":true,"picture":"nose"}',
    '{"type":"about","v":1,"name":7,"microphone":true,"picture":"none"}',
    '{"type":"chat"}',
    '{"type":"chat","text":""}',
    '{"type":"chat","text":{}}',
    '{"type":"file","id":-1,"name":"a","size":1}',
    '{"type":"file","id":1.5,"name":"a","size":1}',
    '{"type":"file","id":1,"name":"a","size":-1}',
    '{"type":"file","id":1,"name":"a"}',
    `{"type":"file","id":1,"name":"a","size":${FILE_BYTES + 1}}`,
    '{"type":"take"}',
    '{"type":"take","id":"1"}',
    '{"type":"__proto__"}'
  ]
  t.deepEqual(
    wrong.filter(text => parseLine(text) !== undefined),
    []
  )
})

test('long names and texts are cut, and a line that is longer than any that is said ends it', t => {
  const about = { type: 'about', v: 1, name: ` ${'n'.repeat(500)}`, microphone: true, picture: 'none' } as const
  t.like(parseLine(JSON.stringify(about)), { name: 'n'.repeat(NAME_CHARACTERS) })
  t.like(parseLine(JSON.stringify({ type: 'chat', text: 't'.repeat(9000) })), { text: 't'.repeat(CHAT_CHARACTERS) })
  // Each character of it takes six as JSON has it.
  const longest = lineText({ type: 'chat', text: '\u0001'.repeat(CHAT_CHARACTERS) })
  t.is(new Lines().of(new TextEncoder().encode(longest)).length, 1)
  t.throws(() => new Lines().of(new Uint8Array(LINE_BYTES + 1).fill(97)), { message: /too long/ })
})

test('a file gets no name that leads elsewhere, or hides what it is', t => {
  const named = (name: string) =>
    (parseLine(JSON.stringify({ type: 'file', id: 1, name, size: 1 })) as { name: string }).name
  t.is(named('../../etc/passwd'), '_.._etc_passwd')
  t.is(named('C:\\boot.ini'), 'C_boot.ini')
  t.is(named('.bashrc'), 'bashrc')
  t.is(named('invoice\u202Efdp.exe'), 'invoice_fdp.exe')
  t.is(named('a\u0000b\n.txt'), 'a_b_.txt')
  t.is(named(''), 'file')
  const long = named(`${'x'.repeat(400)}.tar.gz`)
  t.is(long.length, FILE_NAME_CHARACTERS)
  t.true(long.endsWith('.gz'))
})
