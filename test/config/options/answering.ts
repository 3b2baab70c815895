// A program: opens a gateway by the YAML that is its first argument, and prints which of the places that are the others answer, as a
// list in JSON. Its host is a network namespace, where all ports are free.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig } from '../../../src/config/config.ts'
import { openGateway } from '../../../src/gateway/gateway.ts'
import { question } from '../../gateway/udp/fake-ports.ts'

const [yaml = '', ...places] = process.argv.slice(2)
const folder = await mkdtemp(join(tmpdir(), 'postern-answering-'))
const gateway = await openGateway(parseConfig(yaml, join(folder, 'postern.yaml'), {}))
const found = await Promise.all(places.map(async place => ((await answers(new URL(place))) ? [place] : [])))
await gateway.close()
await rm(folder, { recursive: true })
console.log(JSON.stringify(found.flat()))

function answers(place: URL): Promise<boolean> {
  return place.protocol === 'stun:' ? answersStun(place) : answersHttp(place)
}

async function answersHttp(place: URL): Promise<boolean> {
  const answer = await fetch(new URL('/healthz', place)).catch(() => undefined)
  return answer?.ok === true
}

/** A port where nobody listens refuses: on one host that comes back as an error of a connected socket. */
async function answersStun({ hostname, port }: URL): Promise<boolean> {
  const socket = createSocket('udp4')
  socket.connect(Number(port), hostname)
  await once(socket, 'connect')
  const answered = once(socket, 'message').then(
    () => true,
    () => false
  )
  socket.send(question())
  const isAnswered = await answered
  socket.close()
  return isAnswered
}
