// UPnP IGD at a router that answers what the test says.

import type { ServerResponse } from 'node:http'
import test from 'ava'
import { type Answers, HandMadeRouter } from './hand-made-router.ts'
import { mapped, refused } from './made.ts'

const protocols = ['upnp'] as const

const IP = 'urn:schemas-upnp-org:service:WANIPConnection:1'
const PPP = 'urn:schemas-upnp-org:service:WANPPPConnection:1'

/** What the router of one test tells; all left out, it does everything as it should. */
interface Told {
  location?: string
  description?: string
  services?: readonly (readonly [type: string, control: string])[]
  /** What it answers to each action: an error code, or the elements of the answer. */
  says?: (action: string, body: string, control: string) => number | string
}

const found = (location: string) =>
  ['HTTP/1.1 200 OK', 'CACHE-CONTROL: max-age=120', 'ST: x', `Location: ${location}`, '', ''].join('\r\n')

const service = ([type, control]: readonly [string, string]) =>
  `<service><serviceType>${type}</serviceType><serviceId>x</serviceId><controlURL>${control}</controlURL></service>`

const describe = (services: readonly (readonly [string, string])[], base = '') =>
  `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">${base}<device><serviceList>${services.map(service).join('\n')}</serviceList></device></root>`

const envelope = (inner: string) => `<?xml version="1.0"?><s:Envelope><s:Body>${inner}</s:Body></s:Envelope>`
const fault = (code: number) =>
  envelope(`<s:Fault><detail><UPnPError><errorCode>${code}</errorCode></UPnPError></detail></s:Fault>`)

const usual = (action: string) =>
  action === 'GetExternalIPAddress' ? '<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>' : ''

function answering(host: () => string, { location, description, services, says = usual }: Told): Answers {
  const known = services ?? [
    ['urn:schemas-upnp-org:service:Layer3Forwarding:1', '/l3f'],
    [IP, '/ctl?a=1&amp;b=2']
  ]
  const answer = (response: ServerResponse, outcome: number | string, action: string) =>
    typeof outcome === 'number'
      ? response.writeHead(500).end(fault(outcome))
      : response.end(envelope(`<u:${action}Response xmlns:u="x">${outcome}</u:${action}Response>`))
  return {
    search: () => [found(location ?? `http://${host()}/root.xml`)],
    http(request, body, response) {
      if (request.method === 'GET') return response.end(description ?? describe(known))
      const action = /#(\w+)"$/.exec(String(request.headers.soapaction))?.[1] ?? ''
      return answer(response, says(action, body, request.url ?? ''), action)
    }
  }
}

async function open(told: Told = {}): Promise<HandMadeRouter> {
  const router = await HandMadeRouter.open()
  router.answers = answering(() => router.host, told)
  return router
}

/** Of each request by SOAP: action, outside port, lease. */
const calls = ({ requests }: HandMadeRouter) =>
  requests
    .filter(({ line }) => line.startsWith('POST'))
    .map(({ body }) => [
      /<u:(\w+)/.exec(body)?.[1],
      ...['NewExternalPort', 'NewLeaseDuration'].flatMap(name => {
        const value = new RegExp(`<${name}>(\\d+)<`).exec(body)?.[1]
        return value === undefined ? [] : [Number(value)]
      })
    ])

test('the router alone is searched, described and asked, for its own host; at the end the port is given back', async t => {
  await using router = await open()
  const mapping = await mapped(t, router, { protocols })
  t.is(mapping.protocol, 'upnp')
  t.deepEqual(mapping.external, { address: '203.0.113.9', port: 5000 })
  t.regex(router.searched[0] ?? '', /^M-SEARCH \* HTTP\/1.1\r\nHOST: 127.0.0.1:\d+\r\nMAN: "ssdp:discover"\r\n/)
  await mapping.close()
  t.deepEqual(calls(router), [['GetExternalIPAddress'], ['AddPortMapping', 5000, 1200], ['DeletePortMapping', 5000]])
  t.deepEqual(
    router.requests.map(({ line }) => line),
    ['GET /root.xml', ...Array(3).fill('POST /ctl?a=1&b=2')]
  )
  const added = router.requests[2]?.body ?? ''
  t.regex(added, /<NewInternalPort>5000<\/NewInternalPort><NewInternalClient>127\.0\.0\.1</)
  t.regex(added, /<NewRemoteHost><\/NewRemoteHost>.*<NewProtocol>UDP</)
})

test('a port that another host has is given up for a few others, and not for more', async t => {
  const taken = new Set<string>()
  await using router = await open({
    says(action, body) {
      const port = /<NewExternalPort>(\d+)/.exec(body)?.[1] ?? ''
      if (action !== 'AddPortMapping' || taken.size === 2) return usual(action)
      taken.add(port)
      return 718
    }
  })
  const mapping = await mapped(t, router, { protocols })
  t.is(taken.size, 2)
  t.true(taken.has('5000'))
  t.false(taken.has(String(mapping.external?.port)))

  await using full = await open({ says: action => (action === 'AddPortMapping' ? 718 : usual(action)) })
  const refusal = await refused(full, { protocols })
  t.is(refusal.reason, 'refused')
  t.regex(refusal.text, /has given the ports that were asked for to other hosts/)
  t.is(calls(full).length, 1 + 5)
})

test('a router that knows permanent mappings alone is given one, and it is deleted', async t => {
  await using router = await open({
    says: (action, body) => (action === 'AddPortMapping' && !body.includes('>0</NewLease') ? 725 : usual(action))
  })
  const mapping = await mapped(t, router, { protocols })
  t.truthy(mapping.external)
  await mapping.close()
  t.deepEqual(calls(router).slice(1), [
    ['AddPortMapping', 5000, 1200],
    ['AddPortMapping', 5000, 0],
    ['DeletePortMapping', 5000]
  ])
})

test('of several services the one that is connected is asked', async t => {
  await using router = await open({
    services: [
      [IP, '/ip'],
      [PPP, 'ppp']
    ],
    says: (action, _, control) => (control === '/ip' ? 501 : usual(action))
  })
  t.truthy((await mapped(t, router, { protocols })).external)
  t.deepEqual(
    router.requests.map(({ line }) => line),
    ['GET /root.xml', 'POST /ip', 'POST /ppp', 'POST /ppp']
  )
})

test('a router without a public address is asked for no port', async t => {
  const told: [number | string, string | undefined][] = [
    [501, undefined],
    ['', undefined],
    ['<NewExternalIPAddress></NewExternalIPAddress>', undefined],
    ['<NewExternalIPAddress>0.0.0.0</NewExternalIPAddress>', undefined],
    ['<NewExternalIPAddress>100.64.3.4</NewExternalIPAddress>', '100.64.3.4']
  ]
  for (const [says, outsideAddress] of told) {
    await using router = await open({ says: () => says })
    const refusal = await refused(router, { protocols })
    t.is(refusal.reason, 'carrier', String(says))
    t.is(refusal.outsideAddress, outsideAddress)
    t.is(calls(router).length, 1)
  }
})

test('a refusal is told as one', async t => {
  await using router = await open({ says: action => (action === 'AddPortMapping' ? 606 : usual(action)) })
  const refusal = await refused(router, { protocols })
  t.is(refusal.reason, 'refused')
  t.regex(refusal.text, /refuses a port by UPnP: it does not allow it/)
})

test('a description or a service at another host is never asked', async t => {
  await using other = await open()
  // Loopback has more addresses than one, and this one is not the router's.
  const elsewhere = other.host.replace('127.0.0.1', '127.0.0.2')
  const foreign: Told[] = [
    { location: `http://${elsewhere}/root.xml` },
    { location: `http://localhost:${other.host.split(':')[1]}/root.xml` },
    { location: `https://${other.host}/root.xml` },
    { location: 'file:///etc/passwd' },
    { services: [[IP, `http://${elsewhere}/ctl`]] },
    { services: [[IP, `//${elsewhere}/ctl`]] },
    { description: describe([[IP, '/ctl']], `<URLBase>http://${elsewhere}/</URLBase>`) }
  ]
  const outcomes = foreign.map(async told => {
    await using router = await open(told)
    const { reason } = await refused(router, { protocols })
    return [reason, calls(router).length]
  })
  t.deepEqual(await Promise.all(outcomes), Array(foreign.length).fill(['nonsense', 0]))
  t.deepEqual(other.requests, [])
})

test('a redirect is not followed', async t => {
  await using other = await open()
  await using router = await open()
  const { http, ...rest } = router.answers
  router.answers = {
    ...rest,
    http(request, body, response) {
      const target = `http://${other.host}${request.url}`
      if (request.url === '/root.xml') response.writeHead(302, { location: target }).end()
      else http?.(request, body, response)
    }
  }
  t.is((await refused(router, { protocols })).reason, 'nonsense')
  t.deepEqual(other.requests, [])
})

test('an answer ends at 64 kB, however it goes on', async t => {
  let written = 0
  await using router = await open()
  router.answers = {
    ...router.answers,
    http(_, __, response) {
      const chunk = Buffer.alloc(16_384, 'x')
      const more = () => {
        written += chunk.length
        if (response.write(chunk)) setImmediate(more)
        else response.once('drain', more)
      }
      more()
    }
  }
  t.is((await refused(router, { protocols })).reason, 'nonsense')
  const before = written
  t.true(before < 20_000_000, `${before} bytes`)
})

test('an answer ends after two seconds, however slowly it comes', async t => {
  await using router = await open()
  router.answers = { ...router.answers, http: (_, __, response) => void response.write('<root>') }
  t.is((await refused(router, { protocols })).reason, 'silent')
})

test('what cannot be understood is nonsense', async t => {
  const odd: Told[] = [
    { description: '' },
    { description: '{"a": 1}' },
    { description: '<service>'.repeat(7000) },
    { description: '<serviceType '.repeat(5000) },
    { description: `<service>${'<serviceType>'.repeat(5000)}</service>` },
    { description: describe([['urn:other:service:WANIPConnection:1', '/ctl']]) },
    { description: describe([[`${IP}" x="`, '/ctl']]) },
    { services: [[IP, '']] },
    { says: () => '<NewExternalIPAddress>here</NewExternalIPAddress>' },
    { says: () => '<NewExternalIPAddress>127.0.0.1</NewExternalIPAddress>' },
    { says: () => '<NewExternalIPAddress>2001:db8::1</NewExternalIPAddress>' },
    { says: () => '<errorCode>many</errorCode>' }
  ]
  for (const told of odd) {
    await using router = await open(told)
    t.is((await refused(router, { protocols })).reason, 'nonsense', JSON.stringify(told).slice(0, 100))
  }
})
