// The end of node-datachannel in the process of a test file, which could not end by itself where the library has lost the end of
// a channel: one that was closed before JavaScript heard of it keeps its callbacks, and they keep the process.

import { cleanup } from 'node-datachannel'

/**
 * For `test.after.always`, when all connections are closed. It blocks until the library's threads have ended. On a machine that is held
 * up they may need longer than the 10 s that the library gives them: that is said, and they get as long again.
 */
export function endNative(): void {
  try {
    cleanup()
  } catch (error) {
    console.warn(`${error}; once more`)
    cleanup()
  }
}
