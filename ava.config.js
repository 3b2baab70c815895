// workerThreads: false because node-datachannel crashes in worker threads.
export default {
  extensions: ['ts'],
  files: ['test/**/*.test.ts'],
  workerThreads: false,
  concurrency: 2,
  timeout: '120s'
}
