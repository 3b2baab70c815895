// The hands of verify.ts inside one network namespace: obeys JSON lines on stdin, tells what happens as JSON lines on
// stdout, and ends with its stdin. Plain JavaScript, because a world starts dozens and stripping types doubles the start.
//
//   { do: 'bind', name, address }              -> { name, port }
//   { do: 'rebind', name, port }               -> { name, port }       after a `close`
//   { do: 'close', name }                      -> { name, closed: true }
//   { do: 'send', name, to, text }                               to: { address, port }
//   a datagram for a bound socket              -> { name, text, from }
//   { do: 'refusal', name, to }                -> { name, refused: true } as soon as ICMP says so
//   { do: 'listen', name, address }            -> { name, port }       TCP; tells each caller the address it came from
//   { do: 'call', name, to }                   -> { name, answer }     TCP; `answer` is what the listener told

import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

const sockets = new Map()
const tell = event => process.stdout.write(`${JSON.stringify(event)}\n`)

const deeds = {
  rebind({ name, port }) {
    deeds.bind({ name, address: '0.0.0.0', port })
  },
  close({ name }) {
    sockets.get(name).close(() => tell({ name, closed: true }))
  },
  bind({ name, address, port = 0 }) {
    const socket = createSocket('udp4')
    sockets.set(name, socket)
    socket.on('message', (text, { address, port }) => tell({ name, text: `${text}`, from: { address, port } }))
    socket.on('error', error => tell({ name, error: error.message }))
    socket.bind(port, address, () => tell({ name, port: socket.address().port }))
  },
  send({ name, to, text }) {
    sockets.get(name).send(text, to.port, to.address)
  },
  refusal({ name, to }) {
    const socket = createSocket('udp4')
    const send = () => socket.send('anybody?')
    socket.on('error', () => {
      tell({ name, refused: true })
      socket.close()
      clearInterval(again)
    })
    const again = setInterval(send, 500)
    socket.connect(to.port, to.address, send)
  },
  listen({ name, address }) {
    const server = createServer(socket => socket.on('error', () => {}).end(socket.remoteAddress))
    server.listen(0, address, () => tell({ name, port: server.address().port }))
  },
  call({ name, to }) {
    let answer = ''
    const socket = connect(to.port, to.address)
    socket.on('data', data => {
      answer += data
    })
    socket.on('end', () => tell({ name, answer }))
    socket.on('error', error => tell({ name, error: error.message }))
  }
}

const lines = createInterface({ input: process.stdin })
lines.on('line', line => {
  const order = JSON.parse(line)
  deeds[order.do](order)
})
lines.on('close', () => process.exit())
