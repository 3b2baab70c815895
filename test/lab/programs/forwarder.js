// Forwards UDP as containers' user-space proxies do: each client has a socket of its own here, and a port of its own for each
// port that it talks to. So whoever is behind sees this computer's address and a random port, whoever sends. It ends with its
// stdin. Plain JavaScript, for it starts in half the time.
//
//   forwarder.js LISTEN TO PORT...

import { createSocket } from 'node:dgram'
import { once } from 'node:events'

const [listen, to, ...ports] = process.argv.slice(2)

await Promise.all(ports.map(port => forward(Number(port))))
process.stdout.write('ready\n')
process.stdin.on('end', () => process.exit()).resume()

async function forward(port) {
  const outside = createSocket('udp4')
  const clients = new Map()
  outside.on('message', (datagram, { address, port: from }) => {
    const client = `${address}:${from}`
    const inside =
      clients.get(client) ?? createSocket('udp4').on('message', answer => outside.send(answer, from, address))
    clients.set(client, inside)
    inside.send(datagram, port, to)
  })
  outside.bind(port, listen)
  await once(outside, 'listening')
}
