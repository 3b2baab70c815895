// The one door every command leaves by. A failure is one sentence on standard error and exit code 1; a signal lets a
// service (gateway, peer) end in order with 0, and a task (send, ping …) with 128 and the signal's number.

import { constants } from 'node:os'
import { styleText } from 'node:util'
import { asPosternError, PosternError } from '../errors.ts'
import { Output, type Paint, wrap } from './text/output.ts'
import { becauseText } from './text/verdict-text.ts'

export interface Run {
  readonly output: Output
  /** Aborts when the command shall end. */
  readonly signal: AbortSignal
}

export interface Manner {
  readonly json?: boolean | undefined
  /** Runs until it is told to end. */
  readonly service?: boolean
  /** Standard output carries data: what the command says goes to standard error. */
  readonly dataOnStdout?: boolean
}

/** What arrives within this time is one asking: a terminal signals the whole group, and npm and `bin` pass theirs on. */
const ONE_ASKING_MS = 500

/** Runs a command to its end, and the process with it. */
export async function perform(manner: Manner, work: (run: Run) => Promise<void>): Promise<never> {
  const stream = manner.dataOnStdout ? process.stderr : process.stdout
  const output = new Output({ json: manner.json === true, stream })
  const stop = new AbortController()
  let interruption: NodeJS.Signals | undefined
  let askedMs = 0
  const interrupt = (name: NodeJS.Signals) => {
    // Whoever asks twice does not want to wait.
    if (interruption && performance.now() - askedMs > ONE_ASKING_MS) process.exit(128 + constants.signals[name])
    if (interruption) return
    interruption = name
    askedMs = performance.now()
    stop.abort(new PosternError('io', 'interrupted'))
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  // The reader of a pipe has gone: nobody is left to work for.
  process.stdout.on('error', () => stop.abort(new PosternError('io', 'nobody reads the output')))
  let code = 0
  try {
    await work({ output, signal: stop.signal })
  } catch (thrown) {
    if (!interruption) code = 1
    if (!stop.signal.aborted) report(thrown, output)
  }
  output.end()
  if (interruption && !manner.service) code = 128 + constants.signals[interruption]
  process.exit(code)
}

/** What went wrong, for programs and for people. */
export function report(thrown: unknown, output?: Output): void {
  const { code, message, trace, verdict } = asPosternError(thrown)
  output?.end()
  output?.tell({ event: 'failed', code, reason: message, ...(trace ? { trace } : {}), ...(verdict ? { verdict } : {}) })
  process.stderr.write(`postern: ${code}: ${message}\n`)
  for (const line of below(code, { trace, verdict })) process.stderr.write(`${line}\n`)
}

/** Why, and what to do about it; where the verdict only repeats the code, the command that helps instead. */
function below(code: PosternError['code'], { trace, verdict }: Pick<PosternError, 'trace' | 'verdict'>): string[] {
  const width = process.stderr.columns || 80
  const hint = hints[code]
  const told = verdict && !(hint && verdict.code === code)
  return [
    ...(told ? [becauseText(verdict, { width, paint })] : hint ? [wrap(`  ${hint}`, width, 2)] : []),
    ...(trace ? [`  what was tried: postern trace ${trace}`] : [])
  ]
}

const paint: Paint = (style, text) => styleText(style, text, { stream: process.stderr })

const hints: Readonly<Partial<Record<PosternError['code'], string>>> = {
  'gateway-unreachable': 'is it running, and is --gateway (or POSTERN_GATEWAY) its URL?',
  'bad-token':
    'the gateway says at its start where its tokens are: --token or POSTERN_TOKEN to join, --admin-token or ' +
    'POSTERN_ADMIN_TOKEN to look at what it keeps',
  'peer-offline': 'it joins with: postern peer NAME',
  'unknown-peer': 'it joins with: postern peer NAME',
  'self-connect': 'two peers on one computer need a folder each: POSTERN_HOME=./another postern …'
}
