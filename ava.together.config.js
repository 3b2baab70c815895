// The first half of `npm test`: what may run beside other tests. The grid comes after it, alone: it judges 78 real searches for
// ports, and a search that gets no processor in time ends at the relay, as it should. What takes longest begins first, so that
// nothing is waited for alone at the end.
import everything from './ava.config.js'

const longest = [
  'odd',
  'gateway/relay/engines',
  'causes/crossing',
  'lab/lab',
  'causes/asking',
  'lab/faults/instrument',
  'lab/faults',
  'moves',
  'forwards',
  'neighbours',
  'hidden',
  'lab/faults/narrow',
  'lab/doors',
  'cli/peers',
  'cli/failures',
  'cli/traces',
  'tracks',
  'peer/punch/handover',
  'peer/router/miniupnpd'
].map(name => `/test/${name}.test.ts`)

/** What takes a browser: `npm run test:browsers` has it. */
const browsers = ['!test/browser/**', '!test/gateway/http/pages/{browser,nettest}.test.ts']

const rankOf = file => {
  const at = longest.findIndex(name => file.endsWith(name))
  return at < 0 ? longest.length : at
}

export default {
  ...everything,
  files: [...everything.files, '!test/grid.test.ts', ...browsers],
  sortTestFiles: (one, other) => rankOf(one) - rankOf(other) || one.localeCompare(other)
}
