// workerThreads: false because node-datachannel crashes in worker threads. Three at once, since the laboratory mostly waits. What
// Node has compiled, and stripped of its types, it keeps for the processes after: a peer starts in half the time.

import { fileURLToPath } from 'node:url'

export default {
  environmentVariables: { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/compiled', import.meta.url)) },
  extensions: ['ts'],
  files: ['test/**/*.test.ts'],
  workerThreads: false,
  concurrency: 3,
  timeout: '120s'
}
