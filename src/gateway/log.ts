// The gateway's log: one JSON object a line, on standard error. Names, reasons and headers of others end up in it, and somebody
// reads it on a terminal, or through a program that undoes the escapes of JSON. So no text in it has a line break or a control
// character, whoever wrote it.

import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from '../config/config.ts'
import { printableJson } from '../wire/text.ts'

/** @param to where lines go; standard error if left out */
export function openLog(
  level: Config['log']['level'],
  to: DestinationStream = pino.destination({ dest: 2, sync: true })
): Logger {
  return pino({ level, base: null, hooks: { streamWrite: printableLine } }, to)
}

const printableLine = (line: string): string => `${JSON.stringify(printableJson(JSON.parse(line)))}\n`
