// What browsers load of a gateway has to be built before these tests: each of them reads it, so that none may write it.

import { existsSync } from 'node:fs'

const made = new URL('../../../dist/call.js', import.meta.url)

if (!existsSync(made))
  throw new Error(
    'the page of a call is not built: npm run test:browsers builds it first, and node tools/bundle.ts does'
  )
