// Every example of a configuration is right as it stands, starts a gateway, and does what it promises. What is replaced before it
// is started is what this computer does not have: see `here`.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { pino } from 'pino'
import { type Document, parseDocument } from 'yaml'
import { checkFile } from '../../src/config/config.ts'
import { RELAY_PATH } from '../../src/wire/doors/door.ts'
import { End } from '../gateway/doors/house.ts'
import { type HandMade, nothingDone } from '../hand-made.ts'
import { certified } from '../peer/tls.ts'
import { World } from '../world.ts'
import { bearer, room, Seen } from './options/seen.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'config/examples')
const read = (file: string): string => readFileSync(join(folder, file), 'utf8')
const files = readdirSync(folder)
const examples = files.filter(file => file.endsWith('.yaml'))
const env = { POSTERN_TOKEN: 'a-token-of-the-examples' }

/** What lies beside the examples, a certificate in the place of those that they name, and its key. */
const beside = {
  ...Object.fromEntries(files.filter(file => !examples.includes(file)).map(file => [file, read(file)])),
  'cert.pem': certified.cert,
  'key.pem': certified.key
}

/**
 * An example as this computer can start it: on loopback in the place of the addresses, at free ports, with folders and a certificate
 * of the test's. All else stays as it is.
 */
function here(text: string): string {
  const document = parseDocument(text)
  const count = (path: readonly string[], byDefault: number) => {
    const list = document.getIn(path) as { readonly items: readonly unknown[] } | undefined
    return list?.items.length ?? byDefault
  }
  const udp = ['listen', 'udp']
  const addresses = ['127.0.0.1', '127.0.0.2'].slice(0, count([...udp, 'addresses'], 1))
  const ports = Array<number>(count([...udp, 'ports'], 3)).fill(0)
  document.setIn(['listen', 'http'], '127.0.0.1:0')
  document.setIn([...udp, 'addresses'], addresses)
  document.setIn([...udp, 'ports'], ports)
  document.setIn(['listen', 'tcp'], Array<number>(count(['listen', 'tcp'], 0)).fill(0))
  document.setIn(['state'], './state')
  replace(document, ['listen', 'tls', 'cert'], 'cert.pem')
  replace(document, ['listen', 'tls', 'key'], 'key.pem')
  replace(document, ['traces', 'file'], './traces.jsonl')
  return String(document)
}

function replace(document: Document.Parsed, path: readonly string[], value: string): void {
  if (document.hasIn(path)) document.setIn(path, value)
}

interface Started {
  readonly seen: Seen
  readonly world: World
  /** What the gateway said in its log. */
  readonly lines: readonly string[]
}

const namesOf = ({ world }: Started): string[] => world.gateway.strategies.map(({ name }) => name)

/** Status of a request, without a token or with that of the operator. */
const status = async ({ world }: Started, request: RequestInit = {}): Promise<number> =>
  (await fetch(`${world.url}/metrics`, request)).status

/** Says of each order that nothing came of it, and gives the code with which the request is over. */
async function inVain(peer: HandMade): Promise<string> {
  const { session } = await peer.hears('session')
  for (;;) {
    const ordered = await peer.hearsOf(session, 'order').catch(() => undefined)
    if (!ordered) return (await peer.hearsOf(session, 'over')).code
    peer.say({ type: 'failed', session, plan: ordered.plan, code: 'io', reason: 'nothing came', report: nothingDone })
  }
}

/** What each example promises. */
const promises: Readonly<Record<string, (t: ExecutionContext, started: Started) => Promise<void>>> = {
  async 'minimal.yaml'(t, started) {
    t.is(await started.seen.admission('ann', { token: env.POSTERN_TOKEN }), 'welcome')
    t.is(await started.seen.admission('eve', { token: 'another-token-than-that' }), 'bad-token')
    t.deepEqual(namesOf(started), ['direct', 'stun', 'map', 'predict', 'spray', 'relay'])
  },
  async 'two-addresses.yaml'(t, { seen }) {
    const { welcome } = await seen.join('ann')
    t.deepEqual([...new Set(welcome.endpoints.map(({ address }) => address))], ['127.0.0.1', '127.0.0.2'])
  },
  async 'behind-translation.yaml'(t, { seen }) {
    const { welcome } = await seen.join('ann')
    t.is(welcome.endpoints[0]?.address, '203.0.113.10')
    t.is(await seen.admission('bob', { place: 'http://203.0.113.10' }), 'welcome')
    t.is(await seen.admission('eve', { place: 'http://203.0.113.11' }), 'wrong-gateway')
  },
  async 'no-relay.yaml'(t, { seen, world }) {
    t.false(world.gateway.strategies.some(({ lastResort }) => lastResort))
    const { ann, bob } = await seen.connect()
    t.deepEqual(await Promise.all([ann, bob].map(inVain)), ['no-path', 'no-path'])
  },
  async 'no-spray.yaml'(t, started) {
    t.deepEqual(namesOf(started), ['direct', 'stun', 'map', 'predict', 'relay'])
  },
  async 'udp-blocked.yaml'(t, { seen, world }) {
    const ann = await seen.join('ann')
    await ann.settled()
    t.is(ann.features?.tcp?.length, 2)
    const webSocket = End.webSocket(`${world.url.replace('http', 'ws')}${RELAY_PATH}`)
    for (const opening of [...(ann.features?.tcp ?? []).map(port => End.tcp(port)), webSocket]) {
      const end = await opening
      t.is((await end.ask()).mapped?.port, end.localPort)
      end.close()
    }
    t.regex(world.url, /^https:/)
  },
  async 'own-plugin.yaml'(t, started) {
    t.deepEqual(namesOf(started), ['direct', 'vpn', 'stun', 'relay'])
    const inVpn = (host: number) => ({ addresses: [{ address: `10.8.0.${host}`, prefix: 32 }] })
    const { bob } = await started.seen.connect([inVpn(2), inVpn(3)])
    const { order } = await bob.hears('order')
    t.deepEqual(order.kind === 'punch' && order.targets.map(({ address }) => address), ['10.8.0.2'])
  },
  async 'call.yaml'(t, { seen, world }) {
    t.regex(world.url, /^https:/)
    t.is(await room(await seen.join('ann'), 'standup'), 'room')
  },
  async 'call-behind-proxy.yaml'(t, { seen }) {
    t.is(await room(await seen.join('ann'), 'standup'), 'room')
    t.is(await seen.admission('bob', { place: 'https://call.example.org' }), 'welcome')
  },
  async 'behind-proxy.yaml'(t, { seen, world }) {
    t.is(await seen.admission('ann', { place: 'https://example.org/postern' }), 'welcome')
    t.is(await seen.admission('eve', { place: 'https://example.org' }), 'wrong-gateway')
    const { status } = await fetch(`${world.url}/postern/healthz`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
    t.is(status, 200)
    t.is((await world.gateway.status()).proxies.ignored, 0)
  },
  async 'small-relay.yaml'(t, { seen, lines }) {
    t.is((await seen.join('ann')).welcome.endpoints[0]?.address, '203.0.113.10')
    t.true(
      lines.includes(
        'at most 1 Mbit/s each way of a connection, 1 Mbit/s a peer, 10 Mbit/s a network, 10 Mbit/s in all'
      )
    )
  },
  async 'traces.yaml'(t, started) {
    const { seen, world } = started
    t.deepEqual([await status(started), await status(started, bearer(world.gateway.adminToken))], [401, 200])
    const { ann } = await seen.connect()
    const { session } = await ann.hears('session')
    ann.say({ type: 'leave', session, code: 'io', reason: 'that is enough' })
    const { trace } = await ann.hearsOf(session, 'over')
    await world.gateway.close()
    await world.start()
    const addresses = JSON.stringify(world.gateway.traces.get(trace)).match(/127\.0\.0\.\d+/g)
    t.deepEqual([...new Set(addresses)], ['127.0.0.0'])
  }
}

test('every example is tried, and told of in docs/configuration.md', t => {
  t.deepEqual(examples, Object.keys(promises).sort())
  const documented = readFileSync(join(root, 'docs/configuration.md'), 'utf8')
  for (const file of examples) t.true(documented.includes(`(../config/examples/${file})`), file)
})

for (const [file, keeps] of Object.entries(promises)) {
  test(`${file} has no mistake as it stands`, t => {
    const { problems } = checkFile(join(folder, file), { env })
    // Only its own host has the certificate.
    const mistakes = problems.filter(({ text }) => !/^listen\.tls\.\w+: .*there is no such file/.test(text))
    t.deepEqual(mistakes, [])
  })

  test.serial(`${file} starts a gateway that does what it promises`, async t => {
    const lines: string[] = []
    const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line).msg) })
    const world = await World.open({ yaml: here(read(file)), env, files: beside, log })
    await using seen = new Seen(world)
    await keeps(t, { seen, world, lines })
  })
}
