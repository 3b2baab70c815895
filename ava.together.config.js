// The first half of `npm test`: what may run beside other tests. The grid comes after it, alone: it judges 78 real searches for
// ports, and a search that gets no processor in time ends at the relay, as it should.
import everything from './ava.config.js'

export default { ...everything, files: [...everything.files, '!test/grid.test.ts'] }
