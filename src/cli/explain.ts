// `postern explain`: judges a downloaded trace again with other strategies, without a gateway.

import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { Command } from 'commander'
import type { Config } from '../config/config.ts'
import { PosternError } from '../errors.ts'
import type { TraceRecord } from '../trace/record/record.ts'
import type { Replay } from '../trace/verdict/replay.ts'
import { printable, printableJson } from '../wire/text.ts'
import { configOf } from './configured.ts'
import { perform, type Run } from './door.ts'
import { explanationText } from './text/explain-text.ts'
import type { Output } from './text/output.ts'

interface Options {
  readonly config?: string
  readonly strategies?: string
  readonly json?: boolean
}

export function explainCommand(): Command {
  return new Command('explain')
    .summary('ask a downloaded trace whether another order would have helped')
    .description(
      'Judges a recorded connection again, and asks strategies what they would have done in its place. Nothing is sent, ' +
        'and no gateway is needed.'
    )
    .argument('<file>', 'a trace as the page or /api/traces/ID gives it; - is standard input')
    .option('--config <file>', 'take the strategies of this configuration (default: the shipped order)')
    .option('--strategies <list>', 'take these, as the configuration has them: stun,relay')
    .option('--json', 'one JSON object a line, for programs')
    .addHelpText(
      'after',
      `
Examples:
  postern trace 4bf92f35 --save bad.json
  postern explain bad.json
  postern explain bad.json --strategies stun,predict,relay
  postern explain bad.json --strategies "spray: { probes: 8192 }, relay"`
    )
    .action((file: string, options: Options) => perform(options, run => explain(file, options, run)))
}

async function explain(file: string, options: Options, { output, signal }: Run): Promise<void> {
  const [{ strategies }, records] = await Promise.all([configFor(options), recordsOf(file, signal)])
  const [{ replay }, { knownStrategies, startPlugins }, { pino }] = await Promise.all([
    import('../trace/verdict/replay.ts'),
    import('../plugins/built-in.ts'),
    import('pino')
  ])
  await using started = await startPlugins(strategies, pino({ level: 'silent' }))
  const failures: unknown[] = []
  for (const record of records) {
    try {
      tell(record, await replay(record, started.strategies, knownStrategies(started.strategies)), output)
    } catch (thrown) {
      failures.push(thrown)
    }
  }
  // If a trace has several requests, some of them may be judged again although others cannot.
  if (failures.length === records.length) throw failures[0]
}

function tell(record: TraceRecord, found: Replay, output: Output): void {
  const { spans: _, verdict: recorded, ...summary } = record
  const text = explanationText(record, found, { width: output.width, paint: output.paint.bind(output) })
  output.tell({ event: 'explained', ...summary, recorded, ...found }, `${text}\n`)
}

async function configFor({ config, strategies }: Options): Promise<Pick<Config, 'strategies'>> {
  if (strategies === undefined) return await configOf(config === undefined ? {} : { config })
  if (config !== undefined) throw new PosternError('bad-config', 'give --config or --strategies, not both')
  const { parseConfig } = await import('../config/config.ts')
  const list = strategies.trimStart().startsWith('[') ? strategies : `[${strategies}]`
  return parseConfig(`strategies: ${list}`, '--strategies')
}

async function recordsOf(file: string, signal: AbortSignal): Promise<TraceRecord[]> {
  const { asRecord } = await import('../trace/record/schema.ts')
  const name = file === '-' ? 'standard input' : file
  const value = parse(file === '-' ? await text(process.stdin) : await read(file, signal), name)
  const values = Array.isArray(value) ? value : [value]
  const records = values.map(asRecord)
  if (records.length > 0 && records.every(record => record !== undefined)) return records
  throw new PosternError('bad-config', `${name} is no trace; expected what /api/traces/ID answers with`)
}

async function read(file: string, signal: AbortSignal): Promise<string> {
  try {
    return await readFile(file, { encoding: 'utf8', signal })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : message
    throw new PosternError('io', `${file} cannot be read: ${why}`, { cause })
  }
}

function parse(json: string, name: string): unknown {
  try {
    return printableJson(JSON.parse(json))
  } catch (cause) {
    throw new PosternError('bad-config', `${name} is no JSON: ${printable((cause as Error).message)}`, { cause })
  }
}
