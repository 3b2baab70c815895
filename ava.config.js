// workerThreads: false because node-datachannel crashes in worker threads. Three at once, since the laboratory mostly waits.
export default {
  extensions: ['ts'],
  files: ['test/**/*.test.ts'],
  workerThreads: false,
  concurrency: 3,
  timeout: '120s'
}
