// A line of the gateway's log as a person reads it on a terminal: when, how severe, what, and then each field. What does not fit into the
// width goes on beneath it, further in, so that a line of the log begins where there is a time.
//
//   12:03:27 info   session ended  trace=4bf92f3577b34da6a3ce929d0e0e4736
//                   caller=alice callee=bob outcome=relayed by=relay ms=28.3
//
// pino-pretty would do it, with thirteen packages for what are these lines; and it shows line breaks and control characters of others.

import type { LogLine } from '../../gateway/log.ts'
import { type Paint, wrap } from './output.ts'

type Style = Parameters<Paint>[0]

const styles: Readonly<Record<string, Style>> = {
  ...{ trace: 'dim', debug: 'dim', info: 'green' },
  ...{ warn: 'yellow', error: 'red', fatal: 'red' }
}

/** Columns of the time, the level, and what is between them and the text. */
const INDENT = '12:03:27 info   '.length

/** @param width columns of the terminal */
export function logText(line: LogLine, width: number, paint: Paint): string {
  const { level, time, msg, err, ...fields } = line
  const word = String(level)
  const text = [
    `${paint('dim', clock(time))} ${paint(styles[word] ?? 'dim', word.padEnd(5))} `,
    ...(msg === undefined ? [] : [`${paint('bold', String(msg))} `]),
    ...Object.entries(fields).map(([name, value]) => `${paint('dim', `${name}=`)}${shown(value)}`)
  ]
  return [wrap(text.join(' ').trimEnd(), width, INDENT), ...faultIn(err)].join('\n')
}

/** Of this computer's time zone: whoever reads it is here, now. */
function clock(time: unknown): string {
  const date = new Date(String(time))
  return Number.isNaN(date.getTime()) ? '--:--:--' : date.toTimeString().slice(0, 8)
}

/** As it is, where nobody would wonder where it ends; else as JSON. */
const shown = (value: unknown): string => (isPlain(value) ? String(value) : (JSON.stringify(value) ?? ''))

const isPlain = (value: unknown): boolean =>
  Array.isArray(value)
    ? value.length > 0 && value.every(one => isPlain(one) && !String(one).includes(','))
    : typeof value === 'string' && /^[^\s"=]+$/.test(value)

/** Where a fault was: each place that it went through. */
function faultIn(err: unknown): string[] {
  const { stack, message } = (err ?? {}) as { stack?: unknown; message?: unknown }
  const indent = ' '.repeat(INDENT)
  return String(stack ?? message ?? '')
    .split(/ (?= {3}at )/)
    .flatMap(place => (place.trim() === '' ? [] : [`${indent}${place.trim()}`]))
}
