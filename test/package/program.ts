// A program as somebody else would write it, against the installed library: two peers, each of which opens a stream to the
// other and gets back what it sent. It prints one line of JSON and exits with 0 when all came back.

import { text } from 'node:stream/consumers'
import { type Connection, KnownPeers, loadIdentity, type PathNews, Peer } from 'postern'

const [gateway = '', token = '', folder = ''] = process.argv.slice(2)
const toldBob = Promise.withResolvers<Connection>()

const serveEcho = (connection: Connection) => connection.serve('echo', stream => stream.pipe(stream))
const bob = await join('bob', connection => {
  serveEcho(connection)
  toldBob.resolve(connection)
})
const alice = await join('alice', serveEcho)

const connection = await alice.connect({ name: 'bob' })
connection.on('path', (news: PathNews) => console.error(news.what, news.path.kind))
if (connection.isAdrift || connection.resumeMs > 600_000) throw new Error('it waits')
serveEcho(connection)
const heard = await Promise.all([echoOf(connection, 'from alice'), echoOf(await toldBob.promise, 'from bob')])
console.log(JSON.stringify({ heard, by: connection.path.by, kind: connection.path.kind }))
await Promise.all([alice.close(), bob.close()])
process.exit(heard.join() === 'from alice,from bob' ? 0 : 1)

async function join(name: string, onConnection: (connection: Connection) => void): Promise<Peer> {
  const resumeMs = 120_000
  const own = `${folder}/${name}-of-program`
  const [identity, known] = [await loadIdentity(own), new KnownPeers(own)]
  return Peer.join({ gateway, token, name, accepts: true, insecure: false, identity, known, onConnection, resumeMs })
}

async function echoOf(connection: Connection, said: string): Promise<string> {
  const stream = await connection.open('echo', { resumeMs: 30_000 })
  stream.end(said)
  return text(stream)
}
