// Time that passes only when a test says so: alarms ring in order, each at its own moment.

import type { Time } from '../../../src/gateway/relay/scheduler.ts'

export class FakeTime implements Time {
  #nowMs = 0
  readonly #alarms = new Set<{ atMs: number; run: () => void }>()

  now(): number {
    return this.#nowMs
  }

  after(waitMs: number, run: () => void): () => void {
    const alarm = { atMs: this.#nowMs + waitMs, run }
    this.#alarms.add(alarm)
    return () => this.#alarms.delete(alarm)
  }

  get alarms(): number {
    return this.#alarms.size
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (let next = this.#next(untilMs); next; next = this.#next(untilMs)) {
      this.#alarms.delete(next)
      this.#nowMs = next.atMs
      next.run()
    }
    this.#nowMs = untilMs
  }

  #next(untilMs: number): { atMs: number; run: () => void } | undefined {
    const due = [...this.#alarms].filter(alarm => alarm.atMs <= untilMs)
    return due.sort((a, b) => a.atMs - b.atMs)[0]
  }
}
