// What was written and sent in a call, as this side has seen it. It is gone with the page.

import { signal } from '@preact/signals'
import type { Incoming, Transfer } from './files.ts'
import { CHAT_KEPT } from './limits.ts'

export type Entry = { readonly id: number; readonly atMs: number } & (
  | { readonly kind: 'text'; readonly from: string | undefined; readonly text: string }
  | { readonly kind: 'offered'; readonly from: string; readonly file: Incoming }
  | { readonly kind: 'sent'; readonly name: string; readonly size: number; readonly to: readonly To[] }
  | { readonly kind: 'event'; readonly text: string }
)

export interface To {
  readonly name: string
  readonly file: Transfer
}

type New = Entry extends infer One ? (One extends Entry ? Omit<One, 'id' | 'atMs'> : never) : never

export class Chat {
  readonly entries = signal<readonly Entry[]>([])
  /** Messages and files of others that came while nobody looked. */
  readonly unread = signal(0)
  /** Whether somebody looks. */
  readonly isOpen = signal(false)
  #count = 0

  add(entry: New): void {
    const whole = { ...entry, id: this.#count++, atMs: Date.now() } as Entry
    this.entries.value = [...this.entries.peek(), whole].slice(-CHAT_KEPT)
    const isTheirs = entry.kind === 'offered' || (entry.kind === 'text' && entry.from !== undefined)
    if (isTheirs && !this.isOpen.peek()) this.unread.value++
  }

  show(isOpen: boolean): void {
    this.isOpen.value = isOpen
    if (isOpen) this.unread.value = 0
  }
}
