// Every command leaves through here, with one of the codes of exit-codes.ts. A failure is one sentence on standard error and exit
// code 1. After a signal, a service (gateway, peer) ends in order with 0, and a task (send, ping …) ends with 128 plus the signal's
// number.

import { styleText } from 'node:util'
import { asPosternError, PosternError } from '../errors.ts'
import { afterSignal, DONE, FAILED } from './exit-codes.ts'
import { Output, type Paint, wrap } from './text/output.ts'
import { becauseText } from './text/verdict-text.ts'

export interface Run {
  readonly output: Output
  /** Aborts when the command shall end. */
  readonly signal: AbortSignal
  /** The command has done its work, and yet ends with another code than 0. */
  readonly endsWith: (code: number) => void
}

export interface Manner {
  readonly json?: boolean | undefined
  /** Runs until it is told to end. */
  readonly service?: boolean
  /** Standard output carries data, so what the command says goes to standard error. */
  readonly dataOnStdout?: boolean
}

/**
 * Signals that arrive within this time, in milliseconds, ask once: a terminal signals the whole group, and npm and `bin` pass
 * theirs on.
 */
const ONE_ASKING_MS = 500

/** Runs a command to its end, and then ends the process. */
export async function perform(manner: Manner, work: (run: Run) => Promise<void>): Promise<never> {
  const stream = manner.dataOnStdout ? process.stderr : process.stdout
  const output = new Output({ json: manner.json === true, stream })
  const stop = new AbortController()
  let interruption: 'SIGINT' | 'SIGTERM' | undefined
  let askedMs = 0
  const interrupt = (name: 'SIGINT' | 'SIGTERM') => {
    // A user who asks twice does not want to wait.
    if (interruption && performance.now() - askedMs > ONE_ASKING_MS) process.exit(afterSignal(name))
    if (interruption) return
    interruption = name
    askedMs = performance.now()
    stop.abort(new PosternError('io', 'interrupted'))
  }
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupt(name))
  // A service outlives the terminal that it was started from, and whatever else says SIGHUP. A command says what it does then.
  if (manner.service) process.on('SIGHUP', () => {})
  // The reader of the pipe is gone, so nobody is left to work for. An error of ours ends the output too: that one is told.
  process.stdout.on('error', error => {
    if (!(error instanceof PosternError)) stop.abort(new PosternError('io', 'nobody reads the output'))
  })
  let code = DONE
  const endsWith = (chosen: number) => {
    code = chosen
  }
  try {
    await work({ output, signal: stop.signal, endsWith })
  } catch (thrown) {
    if (!interruption) code = FAILED
    if (!stop.signal.aborted) report(thrown, output)
  }
  output.end()
  if (interruption && !manner.service) code = afterSignal(interruption)
  process.exit(code)
}

/** Says what went wrong, for programs and for people. */
export function report(thrown: unknown, output?: Output): void {
  const { code, message, trace, verdict, traceKey } = asPosternError(thrown)
  output?.end()
  const why = { ...(trace ? { trace } : {}), ...(verdict ? { verdict } : {}), ...(traceKey ? { traceKey } : {}) }
  output?.tell({ event: 'failed', code, reason: message, ...why })
  process.stderr.write(`postern: ${code}: ${message}\n`)
  for (const line of below(code, { trace, verdict, traceKey })) process.stderr.write(`${line}\n`)
}

/**
 * The lines below the error: why, and what to do about it. If the verdict only repeats the code, the command that helps
 * stands there instead.
 */
function below(code: PosternError['code'], { trace, verdict, traceKey }: Why): string[] {
  const width = process.stderr.columns || 80
  const hint = hints[code]
  const told = verdict && !(hint && verdict.code === code)
  return [
    ...(told ? [becauseText(verdict, { width, paint })] : hint ? [wrap(`  ${hint}`, width, 2)] : []),
    ...(trace ? [`  what was tried: postern trace ${trace}${traceKey ? ` --key ${traceKey}` : ''}`] : [])
  ]
}

type Why = Pick<PosternError, 'trace' | 'verdict' | 'traceKey'>

const paint: Paint = (style, text) => styleText(style, text, { stream: process.stderr })

const hints: Readonly<Partial<Record<PosternError['code'], string>>> = {
  'bad-token':
    'the gateway says at its start where its tokens are: --token or POSTERN_TOKEN to join, --admin-token or ' +
    'POSTERN_ADMIN_TOKEN to look at what it keeps',
  'peer-offline': 'it joins with: postern peer NAME',
  'unknown-peer': 'it joins with: postern peer NAME',
  'path-lost': 'run it again, files go on where they stopped; --resume 5m waits longer for another path',
  'self-connect': 'two peers on one computer need a folder each: POSTERN_HOME=./another postern …'
}
