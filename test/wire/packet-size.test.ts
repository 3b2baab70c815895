import test from 'ava'
import { checkPacketSize, smallerThan } from '../../src/wire/packet-size.ts'

test('after each size there is a smaller one to try, down to the last', t => {
  t.deepEqual([1280, 1240, 1200, 1100, 900].map(smallerThan), [1200, 1200, 1100, 0, 0])
})

test('a size that a peer may not have is told, with those that it may', t => {
  for (const bytes of [undefined, 800, 1280]) t.notThrows(() => checkPacketSize(bytes))
  for (const bytes of [799, 1281, 1200.5, Number.NaN])
    t.throws(() => checkPacketSize(bytes), { code: 'bad-config', message: /from 800 to 1280, and not/ })
})
