// What is told for a while: each is read aloud by a screen reader, and goes by itself unless it is to be answered.

import { signal } from '@preact/signals'

export interface Notice {
  readonly id: number
  readonly text: string
}

const SHOWN_MS = 8000
const MOST = 4

let count = 0

export const notices = signal<readonly Notice[]>([])

export function tell(text: string): void {
  const notice = { id: count++, text }
  notices.value = [...notices.peek().filter(one => one.text !== text), notice].slice(-MOST)
  setTimeout(() => dismiss(notice.id), SHOWN_MS)
}

export const dismiss = (id: number): void => {
  notices.value = notices.peek().filter(one => one.id !== id)
}
