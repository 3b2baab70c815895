import { get } from 'node:http'
import test from 'ava'
import { Access, LINK_MS, type Visit } from '../../../src/gateway/http/access.ts'
import { World } from '../../world.ts'

const right = 'the-admin-token'

const made = (open: 'loopback' | 'never' = 'loopback') => new Access({ token: right, open })

/** A local program's request, unless told otherwise. */
const visit = ({ headers, ...rest }: Partial<Visit> = {}): Visit => ({
  method: 'GET',
  httpVersion: '1.1',
  headers: { host: 'localhost:8080', ...headers },
  isSecure: false,
  listener: '127.0.0.1',
  source: '127.0.0.1',
  session: undefined,
  ...rest
})

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test('a local request at a loopback listener takes no token, under whatever local name', t => {
  for (const host of [
    'localhost',
    'localhost:8080',
    'LocalHost:1',
    '127.0.0.1:8080',
    '127.1.2.3',
    '[::1]:8080',
    '[::1]'
  ])
    t.is(made().admit(visit({ headers: { host } })), 'local', host)
  t.is(made().admit(visit({ listener: '::1', source: '::1' })), 'local')
  t.is(made().admit(visit({ listener: '127.0.0.1', source: '::ffff:127.0.0.1' })), 'local')
  t.is(made().admit(visit({ method: 'HEAD' })), 'local')
})

test('the configuration may keep local requests out too', t => {
  t.is(made('never').admit(visit()), 'refused')
  t.is(made('never').admit(visit({ headers: bearer(right) })), 'token')
})

test('a listener that others can reach is never open', t => {
  for (const listener of ['0.0.0.0', '::', '192.168.1.5', '203.0.113.1', 'localhost'])
    t.is(made().admit(visit({ listener })), 'refused', listener)
  t.is(made().admit(visit({ source: '192.168.1.9' })), 'refused')
})

test('another name than a local one takes the token: it is a proxy, or DNS rebinding', t => {
  const names = [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example:8080',
    '10.0.0.1',
    ''
  ]
  for (const host of [...names, 'localhost@evil.example', 'localhost:80:80', '[::2]', 'localhost.', '127.0.0.1.5'])
    t.is(made().admit(visit({ headers: { host } })), 'refused', host)
  const { host: _, ...headers } = visit().headers
  t.is(made().admit({ ...visit(), headers }), 'refused')
})

test('whatever says that it asks for somebody else takes the token', t => {
  const headers = [
    'forwarded',
    'via',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-forwarded-anything',
    'x-real-ip',
    'x-client-ip',
    'cf-connecting-ip',
    'x-envoy-external-address'
  ]
  for (const name of headers) t.is(made().admit(visit({ headers: { [name]: '' } })), 'refused', name)
  t.is(made().admit(visit({ httpVersion: '1.0' })), 'refused')
})

test('a page of another site, or of another port of this host, gets nothing without the token', t => {
  const foreign = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'something-new' },
    { origin: 'http://evil.example' },
    { origin: 'http://localhost:3000' },
    { origin: 'null' }
  ]
  for (const headers of foreign) t.is(made().admit(visit({ headers })), 'refused', JSON.stringify(headers))
  for (const site of ['none', 'same-origin'])
    t.is(made().admit(visit({ headers: { 'sec-fetch-site': site } })), 'local', site)
  t.is(made().admit(visit({ headers: { origin: 'http://localhost:8080' } })), 'local')
  const spoken = { isSecure: true, headers: { origin: 'https://localhost:8080' } }
  t.is(made().admit(visit(spoken)), 'local')
  t.is(made().admit(visit({ ...spoken, headers: { origin: 'http://localhost:8080' } })), 'refused', 'in clear')
})

test('anything but reading takes the token, from whomever it comes', t => {
  const access = made()
  const login = access.logIn(right, visit())
  if (typeof login !== 'object') return t.fail()
  for (const method of ['POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS']) {
    t.is(access.admit(visit({ method })), 'refused', method)
    t.is(access.admit(visit({ method, ...login })), 'refused', method)
    t.is(access.admit(visit({ method, headers: bearer(right) })), 'token', method)
  }
})

test('a login lets in until it is left, and its id says nothing of the token', t => {
  const access = made('never')
  const login = access.logIn(right, visit())
  if (typeof login !== 'object') return t.fail()
  t.is(access.admit(visit(login)), 'session')
  t.is(access.admit(visit({ ...login, headers: { 'sec-fetch-site': 'same-site' } })), 'refused')
  t.is(access.admit(visit({ session: 'x'.repeat(login.session.length) })), 'refused')
  t.is(access.admit(visit({ session: '' })), 'refused')
  t.false(login.session.includes(right))
  access.logOut(login.session)
  t.is(access.admit(visit(login)), 'refused')
})

test('a network that shows wrong tokens is not listened to for a while, right ones included, and others are', t => {
  const access = made('never')
  const guess = (token: string, source: string) => access.admit(visit({ source, headers: bearer(token) }))
  for (let turn = 0; turn < 10; turn++) {
    t.is(guess('wrong', '198.51.100.7'), 'refused')
    t.is(access.logIn('wrong', visit({ source: '198.51.100.7' })), 'refused')
  }
  t.is(guess(right, '198.51.100.7'), 'limited')
  t.is(access.logIn(right, visit({ source: '198.51.100.7' })), 'limited')
  t.is(guess(right, '198.51.101.8'), 'token')
  t.deepEqual(access.counters, { loggedIn: 0, wrongTokens: 20, limited: 2, keys: 0, wrongKeys: 0 })
})

test('wrong tokens count against the network they come from, which no header changes', t => {
  const access = made('never')
  for (let turn = 0; turn < 20; turn++) access.logIn('wrong', visit({ source: `2001:db8:1:2::${turn}` }))
  t.is(access.logIn(right, visit({ source: '2001:db8:1:2:ffff::1' })), 'limited')
  t.is(access.logIn(right, visit({ source: '2001:db8:1:ff::1' })), 'limited')
  t.is(typeof access.logIn(right, visit({ source: '2001:db8:1:100::1' })), 'object')
})

test('who has a token that cannot be guessed is never kept out by the wrong ones of others', t => {
  const long = 'sixteen-letters-'
  const access = new Access({ token: long, open: 'never' })
  for (let turn = 0; turn < 20; turn++) access.logIn('wrong', visit())
  t.is(access.logIn('wrong', visit()), 'limited')
  t.is(access.admit(visit({ headers: bearer(long) })), 'token')
  t.is(typeof access.logIn(long, visit()), 'object')
})

test('made-up names of sources, and other addresses of an IPv6 network, give no more guesses', t => {
  const access = made('never')
  const taken = (visits: Visit[]) => visits.filter(one => access.logIn('wrong', one) === 'refused').length
  const each = (make: (turn: number) => Visit) => Array.from({ length: 99 }, (_, turn) => make(turn))
  t.is(taken(each(turn => visit({ source: `2001:db8::${turn + 1}:1:1:1` }))), 20)
  t.is(taken(each(turn => visit({ source: `2001:db8:7::${turn + 1}` }))), 20)
  t.is(taken(each(turn => visit({ headers: { 'x-forwarded-for': `198.51.${turn}.7` } }))), 20)
})

test('over the wire too: a gateway on loopback may be open to a local program, and not through a proxy or another name', async t => {
  await using closed = await World.open()
  t.is((await fetch(`${closed.url}/api/status`)).status, 401, 'unless that is configured, it is not')
  await using world = await World.open({ more: 'admin: { open: loopback }' })
  const statusFor = (headers: Record<string, string>, path = '/api/status') =>
    new Promise(resolve => get(world.url + path, { headers }, answer => resolve(answer.resume().statusCode)))
  t.is(await statusFor({}), 200)
  t.is(await statusFor({}, '/metrics'), 200)
  for (const headers of [
    { host: 'evil.example' },
    { 'x-forwarded-for': '198.51.100.7' },
    { via: '1.1 proxy' },
    { 'sec-fetch-site': 'cross-site' }
  ])
    for (const path of ['/api/status', '/metrics', '/', '/traces'])
      t.is(await statusFor(headers, path), 401, `${path} ${JSON.stringify(headers)}`)
})

const form = (world: World, fields: Record<string, string>, headers: Record<string, string> = {}) =>
  fetch(`${world.url}/login`, { method: 'POST', body: new URLSearchParams(fields), headers, redirect: 'manual' })

const cookieOf = (answer: Response) => answer.headers.getSetCookie()[0] ?? ''

test('a browser is led to the form and back to where it wanted to go, a program is told what is missing', async t => {
  await using world = await World.open({ more: 'admin: { open: never }' })
  const visited = await fetch(`${world.url}/traces?outcome=failed`, {
    headers: { accept: 'text/html' },
    redirect: 'manual'
  })
  t.is(visited.status, 303)
  t.is(visited.headers.get('location'), './login?to=%2Ftraces%3Foutcome%3Dfailed')
  const shown = await (await fetch(new URL(visited.headers.get('location') ?? '', world.url))).text()
  t.true(shown.includes('name="to" value="/traces?outcome=failed"'))
  const answer = await form(world, { token: world.gateway.adminToken, to: '/traces?outcome=failed' })
  t.is(answer.status, 303)
  t.is(answer.headers.get('location'), './traces?outcome=failed')
  const [pair = ''] = cookieOf(answer).split(';')
  const page = await fetch(`${world.url}/traces`, { headers: { cookie: pair, accept: 'text/html' } })
  t.is(page.status, 200)
  t.is((await fetch(`${world.url}/api/status`, { headers: { cookie: pair } })).status, 200)
  t.is((await fetch(`${world.url}/api/names/x`, { headers: { cookie: pair }, method: 'DELETE' })).status, 401)
  const left = await fetch(`${world.url}/logout`, { method: 'POST', headers: { cookie: pair }, redirect: 'manual' })
  t.is(left.headers.get('location'), './login')
  t.is((await fetch(`${world.url}/traces`, { headers: { cookie: pair } })).status, 401)
})

test('a form of another site logs nobody in or out, and uses up nobody’s wrong tokens', async t => {
  await using world = await World.open()
  const host = new URL(world.url).host
  const foreign = [{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }]
  for (const headers of foreign) {
    t.is((await form(world, { token: world.gateway.adminToken }, headers)).status, 403)
    t.is((await form(world, { token: 'wrong' }, headers)).status, 403)
    const left = await fetch(`${world.url}/logout`, { method: 'POST', headers, redirect: 'manual' })
    t.is(left.status, 403)
    t.deepEqual(left.headers.getSetCookie(), [], 'nobody is logged out')
  }
  t.deepEqual((await world.gateway.status()).access, { loggedIn: 0, wrongTokens: 0, limited: 0, keys: 0, wrongKeys: 0 })
  const own = [
    { origin: `http://${host}` },
    { origin: `https://${host}` },
    { origin: 'https://gateway.example', 'x-forwarded-host': 'gateway.example' },
    { 'sec-fetch-site': 'same-origin' }
  ]
  for (const headers of own) t.is((await form(world, { token: world.gateway.adminToken }, headers)).status, 303)
})

test('a link is good for one login within its time, and a guess for none', t => {
  let nowMs = 0
  const access = new Access({ token: right, open: 'never', now: () => nowMs })
  const [used, late] = [access.link(), access.link()]
  t.not(used, late)
  t.true(access.isGood(used))
  const login = access.follow(used)
  if (typeof login !== 'object') return t.fail()
  t.is(access.admit(visit(login)), 'session')
  t.false(access.isGood(used))
  t.is(access.follow(used), 'refused', 'used up')
  nowMs = LINK_MS - 1
  t.true(access.isGood(late))
  nowMs = LINK_MS
  t.false(access.isGood(late))
  t.is(access.follow(late), 'refused', 'too late')
  t.is(access.follow(''), 'refused')
  t.is(access.follow(right), 'refused', 'the token is no link')
  t.deepEqual(access.counters, { loggedIn: 1, wrongTokens: 4, limited: 0, keys: 0, wrongKeys: 0 })
})

test('to open a link uses nothing up, and its button logs the browser in, once', async t => {
  await using world = await World.open()
  const path = world.gateway.loginLink()
  const link = new URL(path, world.url).searchParams.get('link') ?? ''
  const looks = [{}, { method: 'HEAD' }, { headers: { purpose: 'prefetch', 'sec-purpose': 'prefetch' } }]
  for (const look of [...looks, {}]) {
    const answer = await fetch(world.url + path, { ...look, redirect: 'manual' })
    t.is(answer.status, 200)
    t.deepEqual(answer.headers.getSetCookie(), [])
    t.is((await answer.text()).includes(`name="link" value="${link}"`), look.method !== 'HEAD')
  }
  const answer = await form(world, { link })
  t.is(answer.status, 303)
  t.is(answer.headers.get('location'), './')
  const [cookie = ''] = cookieOf(answer).split(';')
  t.is((await fetch(`${world.url}/api/status`, { headers: { cookie } })).status, 200)
  const again = await form(world, { link })
  t.is(again.status, 401)
  t.deepEqual(again.headers.getSetCookie(), [])
  t.regex(await again.text(), /This link has been used, or its ten minutes are over/)
  t.regex(await (await fetch(world.url + path)).text(), /This link has been used[\s\S]*id="token"/)
})

test('the cookie is for this site and no script, and for https alone where the request came by it', async t => {
  await using world = await World.open()
  const token = world.gateway.adminToken
  const plain = cookieOf(await form(world, { token }))
  t.regex(plain, /; httponly/i)
  t.regex(plain, /; samesite=strict/i)
  t.notRegex(plain, /path/i, 'it goes to what lies beside the form, wherever a proxy has put that')
  t.notRegex(plain, /secure/i)
  t.false(plain.includes(token))
  t.regex(cookieOf(await form(world, { token }, { 'x-forwarded-proto': 'https' })), /; secure/i)
})

test('a login leads nowhere but to this gateway', async t => {
  await using world = await World.open()
  const { adminToken: token } = world.gateway
  const elsewhere = [
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'javascript:alert(1)'
  ]
  for (const to of [
    ...elsewhere,
    'evil.example:80',
    '/.//evil.example',
    '/\t/evil.example',
    ' //evil.example',
    'http:evil'
  ]) {
    const location = (await form(world, { token, to })).headers.get('location') ?? ''
    t.is(new URL(location, world.url).origin, world.url, to)
    t.regex(location, /^\.\/(?![/\\])/, to)
  }
})

test('a wrong token is told, and a form without end is not read', async t => {
  await using world = await World.open()
  const wrong = await form(world, { token: 'wrong' })
  t.is(wrong.status, 401)
  t.regex(await wrong.text(), /This is not the admin token/)
  t.deepEqual(wrong.headers.getSetCookie(), [])
  t.is((await form(world, { token: 'x'.repeat(10_000) })).status, 413)
  t.is((await form(world, {})).status, 401)
})
