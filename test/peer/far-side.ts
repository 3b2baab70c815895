// The far side of a connection in a process of its own, for tests that stop it, kill it or take its disk away. With a
// folder and a file as arguments it is the whole transfer instead, and prints the error each side saw; as `late` it makes a
// connection of a path that is closed already, and must end by itself once the library has.

import { Connection } from '../../src/peer/connection/connection.ts'
import { receive } from '../../src/peer/services/receive.ts'
import { send } from '../../src/peer/services/send.ts'
import { endNative } from '../end-native.ts'
import { connectedPair, lines, lineToParent, openPeer } from './loopback.ts'

const [kind, folder = '', file = ''] = process.argv.slice(2)
process.on('disconnect', () => process.exit(1))
if (kind === 'wait') await wait()
if (kind === 'transfer') await transfer()
if (kind === 'late') await late()
if (kind === 'late') endNative()
else process.exit(0)

async function wait(): Promise<void> {
  const connection = new Connection(await openPeer('bob', 'answer', lineToParent()))
  connection.serve('echo', stream => void stream.pipe(stream))
  await new Promise(resolve => connection.closed.addEventListener('abort', resolve))
  await connection.close()
}

async function transfer(): Promise<void> {
  const { alice, bob } = await connectedPair()
  const failed = Promise.withResolvers<string>()
  bob.serve('send', stream =>
    receive(stream, { folder, from: 'alice' }).then(
      () => failed.resolve('nothing failed'),
      (error: Error) => failed.resolve(error.message)
    )
  )
  const sender = await send(alice, [file]).then(
    () => 'nothing failed',
    (error: Error) => error.message
  )
  console.log(JSON.stringify({ sender, receiver: await failed.promise }))
  await Promise.all([alice.close(), bob.close()])
}

async function late(): Promise<void> {
  const [forAlice, forBob] = lines()
  const [alice, bob] = await Promise.all([openPeer('alice', 'offer', forAlice), openPeer('bob', 'answer', forBob)])
  // With a listener, as the handover has one.
  const closed = new Promise<void>(resolve => bob.transport.onStateChange(state => state === 'closed' && resolve()))
  alice.transport.close()
  await closed
  const connection = new Connection(bob)
  if (!connection.closed.aborted) process.exit(1)
  await connection.close()
}
