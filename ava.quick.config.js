// `npm run test:quick`: for a look between two changes, over in less than a minute; `npm test` is what counts. Left out is what
// takes the laboratory, a browser, or the command line in processes of its own, and what waits or computes for long.
import everything from './ava.config.js'

const elsewhere = [
  'test/browser/**',
  'test/lab/**',
  'test/causes/**',
  'test/grid.test.ts',
  'test/forwards.test.ts',
  'test/hidden.test.ts',
  'test/moves.test.ts',
  'test/neighbours.test.ts',
  'test/odd.test.ts',
  'test/pairs.test.ts',
  'test/cli/*.test.ts',
  'test/peer/router/miniupnpd.test.ts',
  'test/gateway/http/pages/browser.test.ts',
  'test/gateway/http/pages/nettest.test.ts'
]
const long = [
  'test/config/examples.test.ts',
  'test/config/options/{access,host,limits,listen,sessions,traces}.test.ts',
  'test/gateway/session/session.test.ts',
  'test/gateway/udp/binding.test.ts',
  'test/nat/assignment.test.ts',
  'test/peer/connecting.test.ts',
  'test/peer/connection/**',
  'test/peer/punch/**',
  'test/peer/router/router.test.ts',
  'test/peer/services.test.ts',
  'test/peer/survey.test.ts',
  'test/plugins/predict.test.ts',
  'test/plugins/spray.test.ts',
  'test/trace/export/export.test.ts',
  'test/trace/store/**',
  'test/trace/tracing.test.ts'
]

// These compute more than they wait, so more at once than there are cores would only make each other late.
export default {
  ...everything,
  concurrency: 2,
  files: [...everything.files, ...[...elsewhere, ...long].map(files => `!${files}`)]
}
