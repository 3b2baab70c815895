import test from 'ava'
import { figuresOf, type Stat } from '../../src/call/model/figures.ts'

const at = (atMs: number, stats: readonly Stat[]) => ({ atMs, stats })

test('figures are of what came between two looks', t => {
  const before = at(1000, [
    { type: 'inbound-rtp', kind: 'video', bytesReceived: 1000, packetsReceived: 10, packetsLost: 0 },
    { type: 'inbound-rtp', kind: 'audio', bytesReceived: 100, packetsReceived: 10, packetsLost: 1 },
    { type: 'outbound-rtp', kind: 'video', bytesSent: 0 }
  ])
  const after = at(3000, [
    {
      ...{ type: 'inbound-rtp', kind: 'video', bytesReceived: 251_000, packetsReceived: 180, packetsLost: 10 },
      ...{ frameWidth: 1280, frameHeight: 720, framesPerSecond: 29.7 }
    },
    { type: 'inbound-rtp', kind: 'audio', bytesReceived: 5100, packetsReceived: 30, packetsLost: 1 },
    { type: 'outbound-rtp', kind: 'video', bytesSent: 125_000, frameWidth: 640, frameHeight: 360 },
    { type: 'remote-inbound-rtp', kind: 'video', fractionLost: 0.02 },
    { type: 'remote-inbound-rtp', kind: 'audio', fractionLost: 0 }
  ])
  t.deepEqual(figuresOf(before, after), {
    receiving: 1_020_000,
    sending: 500_000,
    loss: 0.05,
    lossThere: 0.02,
    picture: '1280 × 720, 30/s',
    ownPicture: '640 × 360'
  })
})

test('on another path the counters begin anew, and nothing is below nothing', t => {
  const before = at(0, [{ type: 'inbound-rtp', bytesReceived: 5_000_000, packetsReceived: 9000, packetsLost: 4 }])
  const after = at(1000, [{ type: 'inbound-rtp', bytesReceived: 12_500, packetsReceived: 10, packetsLost: 0 }])
  t.like(figuresOf(before, after), { receiving: 100_000, loss: 0 })
})

test('where nothing comes there are no figures of it', t => {
  t.deepEqual(figuresOf(at(0, []), at(1000, [])), {
    receiving: 0,
    sending: 0,
    loss: undefined,
    lossThere: undefined,
    picture: undefined,
    ownPicture: undefined
  })
})
