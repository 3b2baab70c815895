// The command line in a child process, for the demo and for tests: what it says is waited for line by line.
// It does not outlive the process that started it.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Event } from '../src/cli/text/output.ts'
import { PosternError } from '../src/errors.ts'

/** What starts the command line: this Node and its entry. */
export const postern: readonly string[] = [process.execPath, fileURLToPath(new URL('../src/main.ts', import.meta.url))]

/** Longer than a command takes to end in order; then it is killed. */
const PATIENCE_MS = 8000

const living = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

export class Child implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #heard: string[] = []
  readonly #ended: Promise<number>
  #changed = Promise.withResolvers<void>()
  #over = false
  #stderr = ''

  /** @param child started with its standard output and error piped. */
  constructor(child: ChildProcess) {
    this.#child = child
    living.add(child)
    child.stderr?.on('data', chunk => {
      this.#stderr += chunk
      this.#change()
    })
    if (child.stdout) createInterface(child.stdout).on('line', line => this.#hear(line))
    this.#ended = once(child, 'close').then(([code]) => {
      this.#over = true
      living.delete(child)
      this.#change()
      return code ?? 128
    })
  }

  /** Its exit code; 128 where a signal ended it. */
  get ended(): Promise<number> {
    return this.#ended
  }

  /** All it wrote to standard error so far. */
  get stderr(): string {
    return this.#stderr
  }

  /** The lines of standard output so far. */
  get lines(): readonly string[] {
    return this.#heard
  }

  /** The events among them. */
  get events(): Event[] {
    return this.#heard.flatMap(eventOf)
  }

  /** Waits until it has written something to standard error that matches. Throws as `line` does. */
  async said(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#stderr)) {
      if (this.#over) throw new PosternError('io', this.#stderr.trim() || 'a command ended without a word')
      await this.#changed.promise
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** The first line, from the `from`th on, for which `test` holds. Throws `io` where it ends before, with its own words. */
  async line(test: (line: string) => boolean, from = 0): Promise<string> {
    for (let next = from; ; next++) {
      while (next >= this.#heard.length && !this.#over) await this.#changed.promise
      const line = this.#heard[next]
      if (line === undefined) throw new PosternError('io', this.#stderr.trim() || 'a command ended without a word')
      if (test(line)) return line
    }
  }

  /** The first event of this name. Throws as `line` does. */
  async event(name: string, from = 0): Promise<Event> {
    const line = await this.line(line => eventOf(line)[0]?.event === name, from)
    return eventOf(line)[0] as Event
  }

  /** Asks it to end as a user would, and waits until it has. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return
    this.#child.kill('SIGTERM')
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS)
    await this.#ended
    clearTimeout(impatience)
  }

  #hear(line: string): void {
    this.#heard.push(line)
    this.#change()
  }

  #change(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

function eventOf(line: string): Event[] {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && 'event' in value ? [value as Event] : []
  } catch {
    return []
  }
}
