// Asks the owner of a peer at the terminal, one line for an answer.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { PosternError } from '../errors.ts'
import type { Ask } from '../peer/services/senders.ts'
import { pinOf } from '../wire/identity/fingerprint.ts'
import type { Output } from './text/output.ts'

/** What was typed before the question is no answer to it: nobody reads that fast. Milliseconds. */
const READING_MS = 300

/** What a terminal is asked through. */
export interface Asking {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly output: Output
  /** Whether this process may read from the terminal now. */
  readonly mayRead?: () => boolean
  /** Milliseconds on any clock that does not go back. */
  readonly now?: () => number
}

/** Undefined where nobody sits at a terminal. */
export function askAt({
  input,
  output,
  mayRead = isInForeground,
  now = () => performance.now()
}: Asking): Ask | undefined {
  if (!output.live || !input.isTTY) return undefined
  return async ({ name, fingerprint }, { words }, signal) => {
    if (!mayRead()) throw inBackground
    const bold = output.paint('bold', name)
    output.line(`${bold} wants to ${words}. To be sure who it is:\n  ${name}@${pinOf(fingerprint)}`)
    output.line('Let it, as long as this runs? [y/N]')
    try {
      return /^\s*y(?:es)?\s*$/i.test(await lineOf(input, now, signal))
    } catch (error) {
      output.line(`${bold} is not waited for any more`)
      throw error
    }
  }
}

/** The next line that is typed; empty if the input ends. Throws what `signal` aborts with. */
async function lineOf(input: NodeJS.ReadableStream, now: () => number, signal: AbortSignal): Promise<string> {
  const startMs = now()
  const lines = createInterface({ input })
  try {
    const ended = once(lines, 'close', { signal }).then(() => [undefined])
    for (;;) {
      const [line] = await Promise.race([once(lines, 'line', { signal }), ended])
      if (line === undefined) return ''
      if (now() - startMs > READING_MS) return String(line)
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    lines.close()
  }
}

/** Who reads from the terminal in the background is stopped by the system. Linux tells it (proc_pid_stat(5)). */
function isInForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return group === foreground
  } catch {
    return true
  }
}

const inBackground = new PosternError(
  'io',
  'this peer runs in the background and cannot ask its owner; start it with --from, or bring it to the foreground'
)
