// One end of a transfer, as a process on a host of the laboratory: it starts a command that joins its standard input and output
// to another's, feeds it numbered bytes, or takes them and notes when each came. Only the command is the one under test: it can
// be stopped or killed, and this process goes on. far-end.ts is its remote control.

import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../until.ts'
import { serveDeeds } from '../driven.ts'
import { tool } from '../sandbox.ts'
import { type Arrival, monotonicMs } from './arrivals.ts'
import { firstWrong, numbered } from './numbers.ts'

export interface Starting {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** Something the command told, in JSON, on its standard error. */
export interface Told {
  readonly atMs: number
  readonly event: Readonly<Record<string, unknown>>
}

/** What went in, or came out. */
export interface Sum {
  readonly bytes: number
  readonly sha256: string
  /** Where the first byte came that does not belong there. */
  readonly wrongAt?: number | undefined
  /** Whether it ended in order. */
  readonly ended: boolean
}

/** What is fed at once: less than a pipe of the kernel holds. */
const CHUNK = 16_384
/** Arrivals within this time of each other are one: a table of all would be long. */
const TOGETHER_MS = 2

let command: ChildProcess | undefined
const told: Told[] = []
let words = ''
const arrivals: { atMs: number; bytes: number }[] = []
const out = { bytes: 0, hash: createHash('sha256'), wrongAt: undefined as number | undefined, ended: false }
const fed = { bytes: 0, hash: createHash('sha256'), stop: false, stopped: Promise.resolve() }

export const deeds = {
  /** Starts the command; it ends with this process at the latest. */
  async start({ argv, env }: Starting) {
    command = spawn(tool('setpriv'), ['--pdeathsig', 'KILL', '--', ...argv], { env, stdio: 'pipe' })
    command.stdin?.on('error', () => {}) // it ended before its input did
    command.stdout?.on('data', note)
    command.stdout?.on('end', () => {
      out.ended = true
    })
    if (command.stderr) createInterface(command.stderr).on('line', hear)
    await once(command, 'spawn')
  },

  /** What the command tells by this name first, once it does. Throws with its last words where it ends before, or is late. */
  async event({ name, waitMs }: { name: string; waitMs: number }): Promise<Told> {
    const found = () => told.find(({ event }) => event.event === name)
    await until(() => found() !== undefined || isOver(), waitMs).catch(() => {})
    const event = found()
    if (event) return event
    throw new Error(isOver() ? lastWords() : `no "${name}" within ${waitMs / 1000} s`)
  },

  /** Feeds numbered bytes at this pace, until told to finish. */
  async feed({ bytesPerSecond }: { bytesPerSecond: number }) {
    fed.stopped = feed(bytesPerSecond)
  },

  /** Nothing more is fed: the input ends behind what was. */
  async finish(_given: object): Promise<Sum> {
    fed.stop = true
    await fed.stopped
    command?.stdin?.end()
    return { bytes: fed.bytes, sha256: fed.hash.copy().digest('hex'), ended: true }
  },

  async arrivals({ sinceMs = 0 }: { sinceMs?: number }): Promise<readonly Arrival[]> {
    return arrivals.filter(({ atMs }) => atMs > sinceMs)
  },

  async received(_given: object): Promise<Sum> {
    const { bytes, hash, wrongAt, ended } = out
    return { bytes, sha256: hash.copy().digest('hex'), wrongAt, ended }
  },

  /** Why the command has ended, in its own words; undefined as long as it runs. */
  async over(_given: object): Promise<string | undefined> {
    return isOver() ? lastWords() : undefined
  },

  async signal({ name }: { name: NodeJS.Signals }) {
    command?.kill(name)
  },

  async close(_given: object) {
    fed.stop = true
    if (!command || isOver()) return
    const exited = once(command, 'exit')
    command.kill('SIGKILL')
    await exited
  }
}

export type EndDeeds = typeof deeds

function note(chunk: Buffer): void {
  const atMs = monotonicMs()
  out.wrongAt ??= firstWrong(out.bytes, chunk)
  out.hash.update(chunk)
  out.bytes += chunk.length
  const last = arrivals.at(-1)
  if (last && atMs - last.atMs < TOGETHER_MS) last.bytes = out.bytes
  else arrivals.push({ atMs, bytes: out.bytes })
}

function hear(line: string): void {
  try {
    told.push({ atMs: monotonicMs(), event: JSON.parse(line) })
  } catch {
    words = line
  }
}

const isOver = (): boolean => command !== undefined && (command.exitCode !== null || command.signalCode !== null)

function lastWords(): string {
  const reason = told.findLast(({ event }) => event.reason !== undefined && event.event !== 'strategy')?.event.reason
  return String(reason ?? (words || `it ended with ${command?.signalCode ?? command?.exitCode}`))
}

/** At a pace of its own: what a command that takes nothing has not taken is not made up for. */
async function feed(bytesPerSecond: number): Promise<void> {
  const input = command?.stdin
  let dueMs = monotonicMs()
  while (input?.writable && !fed.stop && !isOver()) {
    const chunk = numbered(fed.bytes, CHUNK)
    fed.hash.update(chunk)
    fed.bytes += CHUNK
    if (!input.write(chunk)) await room(input)
    dueMs = Math.max(dueMs + (CHUNK / bytesPerSecond) * 1000, monotonicMs() - 20)
    const earlyMs = dueMs - monotonicMs()
    if (earlyMs > 1) await sleep(earlyMs)
  }
}

/** Resolves when more is taken, or nothing ever will. */
function room(input: Writable): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      input.off('drain', done).off('close', done)
      resolve()
    }
    input.on('drain', done).on('close', done)
  })
}

if (process.send) serveDeeds(deeds)
