// A disk that is full, without one: no file of this process may grow beyond a size. A write that would is done in part, and
// fails then, as it does on a full disk. Linux alone knows how. Whoever uses it runs by itself (`test.serial`), for it is the
// whole process that is limited.

import { execFileSync } from 'node:child_process'
import { findTool } from './lab/sandbox.ts'

export const canLimit = findTool('prlimit') !== undefined

/** @param bytes the size that no file grows beyond, until it is disposed of. */
export function limitFiles(bytes: number): Disposable {
  limit(String(bytes))
  return { [Symbol.dispose]: () => limit('unlimited') }
}

const limit = (bytes: string): void => {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`])
}
