// Debian's Chromium, driven by playwright-core; undefined says why there is none.

import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const executablePath = '/usr/bin/chromium'

export const browserProblem = existsSync(executablePath) ? undefined : `${executablePath} is missing`

export function browse(): Promise<Browser> {
  // Its sandbox cannot be made by root; /dev/shm is small in containers.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({ executablePath, args: [...sandbox, '--disable-dev-shm-usage'] })
}
