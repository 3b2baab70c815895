#!/usr/bin/env bash
set -euo pipefail
# node-datachannel 0.33.4 throws away messages that wait for JavaScript when the end of their channel is heard first, and never
# frees them. Callbacks that wait in one turn of the event loop run in the order in which they were set, so with `onClosed` before
# `onMessage` what has arrived is lost whenever JavaScript was busy, and with `onMessage` first it is heard.
#
# 100 channels, one after the other; 16 messages of 16 KiB arrive on each, and it is closed, while JavaScript is held up. Seen:
#
#   onMessage first: 1600 of 1600 messages heard, 5 MiB more than before
#   onClosed first: 0 of 1600 messages heard, 30 MiB more than before
#
# Needs Linux with glibc, node and npm. Everything lies in a temporary folder. Ends with 0 if node-datachannel does what is said
# above, else with 1.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund node-datachannel@0.33.4
cat > look.mjs <<'END'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { PeerConnection } from 'node-datachannel'
const cell = new Int32Array(new SharedArrayBuffer(4))
const holdUpUntil = isSo => { while (!isSo()) Atomics.wait(cell, 0, 0, 5) }
const resident = async () => {
  for (let i = 0; i < 3; i++) {
    gc()
    await sleep(200)
  }
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024
}
const [a, b] = ['a', 'b'].map(name => new PeerConnection(name, { iceServers: [], bindAddress: '127.0.0.1' }))
for (const [from, to] of [[a, b], [b, a]]) {
  from.onLocalDescription((sdp, type) => to.setRemoteDescription(sdp, type))
  from.onLocalCandidate((candidate, mid) => to.addRemoteCandidate(candidate, mid))
}
let heard = 0
async function once(order) {
  const closed = Promise.withResolvers()
  const ready = new Promise(resolve => {
    b.onDataChannel(channel => {
      const set = {
        onMessage: () => channel.onMessage(() => heard++),
        onClosed: () => channel.onClosed(closed.resolve)
      }
      for (const name of order) set[name]()
      resolve(channel)
    })
  })
  const channel = a.createDataChannel('one')
  channel.onClosed(() => {})
  const [far] = await Promise.all([ready, new Promise(resolve => channel.onOpen(resolve))])
  const before = b.bytesReceived()
  for (let i = 0; i < 16; i++) channel.sendMessageBinary(Buffer.alloc(16384))
  holdUpUntil(() => b.bytesReceived() >= before + 16 * 16384)
  channel.close()
  holdUpUntil(() => !far.isOpen())
  await closed.promise
  await sleep(20)
}
const order = process.argv.slice(2)
for (let i = 0; i < 20; i++) await once(order)
heard = 0
const before = await resident()
for (let i = 0; i < 100; i++) await once(order)
const more = (await resident()) - before
console.log(`${order[0]} first: ${heard} of 1600 messages heard, ${more.toFixed(0)} MiB more than before`)
const isLost = order[0] === 'onClosed'
process.exit((isLost ? heard < 100 && more > 15 : heard > 1500 && more < 10) ? 0 : 1)
END
# What is freed goes back to the system at once.
export MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=8192 MALLOC_MMAP_MAX_=1000000
node --expose-gc look.mjs onMessage onClosed
node --expose-gc look.mjs onClosed onMessage
