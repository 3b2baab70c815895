// Files that a configuration names, and that are read while it is checked.

import { readFileSync, statSync } from 'node:fs'
import { troubleOf } from '../state-file.ts'

/** What is no ordinary file is not read: a FIFO would hold everything up. */
export function textIn(path: string): string | { readonly trouble: string } {
  try {
    if (!statSync(path).isFile()) return { trouble: 'it is not a file' }
    return readFileSync(path, 'utf8')
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    return { trouble: isMissing ? 'there is no such file' : troubleOf(error) }
  }
}
