// The gateway's log, on standard error: one JSON object a line, or text for people. Names, reasons and headers of others end up in
// it, and somebody reads it on a terminal, or through a program that undoes the escapes of JSON. So no text in it has a line break
// or a control character, whoever wrote it.
//
// Its level may be set while the gateway runs (`log.level = 'debug'`). A child that pino makes of a log keeps the level that the log
// had then, so nothing makes one: what is to stand in each line of a part is handed over with the line.

import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from '../config/config.ts'
import { printableJson } from '../wire/text.ts'

/** A line of the log. All texts in it are printable. */
export type LogLine = Readonly<Record<string, unknown>>

/** What becomes of a line; without its end. */
export type Render = (line: LogLine) => string

export interface LogOptions {
  readonly level: Config['log']['level']
  /** JSON if left out. */
  readonly render?: Render
  /** Where lines go; standard error if left out. */
  readonly to?: DestinationStream
}

export function openLog({ level, render = JSON.stringify, to = standardError() }: LogOptions): Logger {
  const written = (line: string) => `${render(printableJson(JSON.parse(line)) as LogLine)}\n`
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      hooks: { streamWrite: written }
    },
    to
  )
}

const standardError = () => pino.destination({ dest: 2, sync: true })
