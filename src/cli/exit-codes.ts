// With what the command line ends, as a shell, a unit of systemd or a CI job sees it. Help, the manual page and docs/command-line.md
// say it by this list.

import { constants } from 'node:os'

export interface ExitCode {
  readonly code: number
  /** A sentence without its full stop. */
  readonly meaning: string
}

const DONE = 0
const FAILED = 1
const FOUND_WRONG = 2

/** What a shell makes of a program that a signal has ended. */
const afterSignal = (name: 'SIGHUP' | 'SIGINT' | 'SIGTERM'): number => 128 + constants.signals[name]

/** All of them, in their order. */
export const exitCodes: readonly ExitCode[] = [
  { code: DONE, meaning: 'done; of gateway, peer and camera also: told to end' },
  { code: FAILED, meaning: 'failed, or wrongly called: its code and a sentence are on standard error' },
  { code: FOUND_WRONG, meaning: 'doctor did its work, and has found something that is wrong' },
  { code: afterSignal('SIGHUP'), meaning: 'the terminal was closed (SIGHUP); gateway, peer and camera go on' },
  { code: afterSignal('SIGINT'), meaning: 'interrupted (SIGINT), or a service that was told twice' },
  { code: afterSignal('SIGTERM'), meaning: 'told to end (SIGTERM), or a service that was told twice' }
]

export { afterSignal, DONE, FAILED, FOUND_WRONG }
