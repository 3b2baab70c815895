// The first half of `npm test`: what may run beside other tests. The grid and what is odd come after it, each alone: they judge real
// searches for ports, and a search that gets no processor in time ends at the relay, as it should.
//
// Some files wait for most of their time, and take the longest; the others compute. Between each two that wait stand some that
// compute, so that there is always something to do, and nothing is waited for alone at the end.
import { globSync } from 'node:fs'
import everything from './ava.config.js'
import { operating } from './ava.operating.config.js'

const waiting = [
  'cli/peers',
  'lab/lab',
  'causes/crossing',
  'lab/faults/instrument',
  'moves',
  'lab/faults',
  'gateway/relay/engines',
  'causes/asking',
  'cli/failures',
  'cli/traces',
  'lab/doors',
  'lab/faults/narrow',
  'tracks',
  'forwards',
  'neighbours',
  'pairs',
  'hidden',
  'peer/punch/handover',
  'peer/router/miniupnpd'
].map(name => `test/${name}.test.ts`)

/** How many that compute stand behind each that waits; before the first of them, so many wait. */
const BETWEEN = 8
const FIRST = 3

/** What takes a browser: `npm run test:browsers` has it. */
const browsers = ['!test/browser/**', '!test/gateway/http/pages/{browser,nettest}.test.ts']

const computing = globSync('test/**/*.test.ts')
  .filter(file => !waiting.includes(file))
  .sort()
const order = new Map([
  ...waiting.map((file, at) => [file, Math.max(0, at - FIRST) * (BETWEEN + 1)]),
  ...computing.map((file, at) => [file, at + Math.floor(at / BETWEEN)])
])
const placeOf = file => order.get([...order.keys()].find(known => file.endsWith(`/${known}`)) ?? '') ?? order.size

export default {
  ...everything,
  concurrency: 4,
  files: [...everything.files, '!test/{grid,odd}.test.ts', ...browsers, ...operating.map(files => `!${files}`)],
  sortTestFiles: (one, other) => placeOf(one) - placeOf(other)
}
