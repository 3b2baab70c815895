import test from 'ava'
import { Blocks } from '../../../../src/gateway/relay/batch/blocks.ts'
import { foreign } from '../../../../src/gateway/relay/batch/libc.ts'

const library = foreign()

test('memory of datagrams is used again once they are sent, and that of very long ones is not kept', t => {
  if (typeof library === 'string') return t.fail(library)
  const blocks = new Blocks(library)
  const data = new Uint8Array(70_000).fill(7)
  const memories = new Set<object>()
  for (let datagram = 0; datagram < 2000; datagram++) {
    const [short, long] = [blocks.take(data, 0, 1200), blocks.take(data, 5, 60_000)]
    memories.add(short.memory)
    t.deepEqual([short.length, long.length, long.memory.bytes[long.offset + 59_999]], [1200, 60_000, 7])
    t.not(short.memory, long.memory)
    blocks.giveBack(short)
    blocks.giveBack(long)
    blocks.sent()
  }
  t.is(memories.size, 1)
})
