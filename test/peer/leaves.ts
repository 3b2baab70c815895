// A process that joins, connects, loses its gateway and closes everything: run by peer.test.ts, it must end by itself.

import { once } from 'node:events'
import type { Connection } from '../../src/peer/connection/connection.ts'
import { World } from '../world.ts'

const world = await World.open()
const arrived = Promise.withResolvers<Connection>()
const bob = await world.join('bob', { onConnection: arrived.resolve })
const ann = await world.join('ann')
const connection = await ann.connect({ name: 'bob' })
await Promise.all([connection.ping(), (await arrived.promise).ping()])
const pending = ann.connect({ name: 'bob' }).catch(({ code }) => code)
await Promise.all([ann.close(), bob.close()])
await world[Symbol.asyncDispose]()
if (connection.closed.aborted === false) await once(connection.closed, 'abort')
process.stdout.write(`left, and what was pending ended with ${await pending}`)
