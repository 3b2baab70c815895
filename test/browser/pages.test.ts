// The module for pages in real browsers, behind kernel NATs: with peers in Node, and with each other. Skipped where there is no
// laboratory, or no browser of that kind, unless POSTERN_LAB=required.

import { drop } from '../lab/drop.ts'
import { openRig, type RigPeer } from '../lab/rig.ts'
import { authority, tlsFiles } from './tls.ts'
import { BYTES, bothPaths, browserTest, config, echo, nat, opened, RELAY, Web } from './web.ts'

for (const kind of ['chromium', 'firefox'] as const)
  browserTest(`${kind} and a peer in Node reach each other, directly and through the relay`, [kind], async t => {
    for (const [strategies, path] of bothPaths) {
      await using rig = await openRig({ strategies, config, sites: [{ nat }, { nat }], verify: false })
      const [, node] = rig.peers as [RigPeer, RigPeer]
      await using web = await opened(rig, 0, kind)
      const out = await web.connect(node.name, BYTES)
      t.like(out, { kind: path, isWhole: true })
      const back = await node.process.do('connect', { to: web.name, bytes: 0 })
      t.like(back.path, { kind: path })
      t.log(`${path}: out in ${out.ms} ms, back in ${back.path?.ms} ms`)
      t.deepEqual(await web.do('said', {}), [])
    }
  })

browserTest('two browsers reach each other, directly and through the relay', ['chromium', 'firefox'], async t => {
  for (const [strategies, path] of bothPaths) {
    await using rig = await openRig({ strategies, config, sites: [{ nat }, { nat }], verify: false })
    await using one = await opened(rig, 0, 'chromium')
    await using other = await opened(rig, 1, 'firefox')
    t.like(await one.connect(other.name, BYTES), { kind: path, isWhole: true })
    t.like(await other.connect(one.name, BYTES), { kind: path, isWhole: true })
  }
})

browserTest(
  'a page that shows its address to nobody is relayed, whoever asks, and stays so',
  ['chromium', 'firefox'],
  async t => {
    const strategies = `[direct, stun, ${RELAY}]`
    await using rig = await openRig({ strategies, config, sites: [{ nat }, { nat }], verify: false })
    await using hidden = await opened(rig, 0, 'chromium', { relayOnly: true })
    await using other = await opened(rig, 1, 'firefox')
    t.like(await hidden.connect(other.name, BYTES), { kind: 'relay', isWhole: true })
    t.like(await other.connect(hidden.name, BYTES), { kind: 'relay', isWhole: true })
    const [, node] = rig.peers as [RigPeer, RigPeer]
    t.like((await node.process.do('connect', { to: hidden.name, bytes: 0 })).path, { kind: 'relay' })
    t.like(await other.connect(node.name, BYTES), { kind: 'direct', isWhole: true }, 'the others meet')
  }
)

browserTest('on one link a page and a peer in Node meet, and so do two pages', ['chromium'], async t => {
  // Nothing is sent back into the site, and its public ports differ for everybody.
  const sites = [{ nat: 'symmetric+1' as const, hosts: 3 }]
  await using rig = await openRig({ strategies: '[direct]', config, sites, verify: false })
  const [node] = rig.peers as [RigPeer]
  await using one = await opened(rig, 0, 'chromium', { nth: 1 })
  t.like(await one.connect(node.name, BYTES), { kind: 'direct', isWhole: true })
  await using other = await opened(rig, 0, 'chromium', { nth: 2 })
  t.like(await one.connect(other.name, BYTES), { kind: 'direct', isWhole: true })
  t.like(await other.connect(one.name, BYTES), { kind: 'direct', isWhole: true })
})

browserTest(
  'pages that came by https join by TLS, where they were handed its authority',
  ['chromium', 'firefox', 'certutil'],
  async t => {
    await using files = await tlsFiles()
    const tls = `listen: { tls: ${files.yaml}, udp: { ports: [3478, 3479, 3480] } }`
    const sites = [{ nat }, { nat }]
    await using rig = await openRig({ strategies: '[direct, stun]', config: tls, ca: authority, sites, verify: false })
    t.regex(rig.door.url, /^https:/)
    await using one = await opened(rig, 0, 'chromium', { scheme: 'https' })
    await using other = await opened(rig, 1, 'firefox', { scheme: 'https' })
    t.like(await one.connect(other.name, BYTES), { kind: 'direct', isWhole: true })
    const [, node] = rig.peers as [RigPeer, RigPeer]
    t.like(await one.connect(node.name, BYTES), { kind: 'direct', isWhole: true })
    t.deepEqual(await one.do('said', {}), [])
  }
)

browserTest(
  'a stream of a page goes on over the relay when its direct path is cut, and loses no byte',
  ['chromium'],
  async t => {
    const strategies = `[direct, stun, ${RELAY}]`
    await using rig = await openRig({ strategies, config, sites: [{ nat }, { nat }], verify: false })
    const [, node] = rig.peers as [RigPeer, RigPeer]
    await using web = await opened(rig, 0, 'chromium')
    t.like(await web.connect(node.name, 1000), { kind: 'direct', isWhole: true })
    const going = web.run(
      `globalThis.news = []
    connection.on('path', ({ what, path, ms }) => news.push({ what, kind: path.kind, ms }))
    return await echo(given.bytes, 20)`,
      { bytes: 4_000_000 }
    )
    const [box] = rig.world.sites[1]?.boxes ?? []
    if (!box) return t.fail()
    const address = rig.world.sites[0]?.publicAddresses[0]
    await using _cut = await drop(box, `ip saddr ${address} meta l4proto udp`)
    t.true(await going)
    const news = (await web.run('return news')) as { what: string; kind: string; ms: number }[]
    // Whichever side hears nothing any more asks for the relay first.
    const moved = news.find(({ what }) => what === 'moved')
    t.like(moved, { kind: 'relay' })
    t.log(`on the relay ${Math.round(moved?.ms ?? 0)} ms after it was heard last`)
  }
)

browserTest('a browser keeps who it is and whom it has met, and does not trust another one', ['chromium'], async t => {
  await using rig = await openRig({ strategies: '[direct, stun]', config, sites: [{ nat }, { nat }], verify: false })
  const [, node] = rig.peers as [RigPeer, RigPeer]
  await using web = await opened(rig, 0, 'chromium')
  t.like(await web.connect(node.name, 10), { isWhole: true })
  const before = await web.run('const was = peer.fingerprint; await peer.close(); return was')
  await web.do('shut', { as: 'page' })
  await web.do('open', { kind: 'chromium', as: 'page' })
  await web.run(echo)
  await web.join()
  t.deepEqual(await web.run('return [peer.fingerprint, peer.isKept]'), [before, true])
  const refused = await web.run(
    `const pin = 'AB'.repeat(32)
    return await peer.connect({ name: given.to, fingerprint: pin }).catch(({ code, message }) => ({ code, message }))`,
    { to: node.name }
  )
  t.like(refused, { code: 'fingerprint-mismatch' })
  // As if another one had had the name.
  const doubted = await web.run(
    `const request = indexedDB.open('postern')
    const database = await new Promise(resolve => { request.onsuccess = () => resolve(request.result) })
    const store = database.transaction('known', 'readwrite').objectStore('known')
    const keys = await new Promise(resolve => { const asked = store.getAllKeys(); asked.onsuccess = () => resolve(asked.result) })
    const fingerprint = Array(32).fill('AB').join(':')
    await new Promise(resolve => { store.put({ name: given.to, fingerprint }, keys[0]).onsuccess = resolve })
    const first = await peer.connect({ name: given.to }).catch(({ code, message }) => ({ code, message }))
    await peer.forget(given.to)
    const second = await peer.connect({ name: given.to })
    return { first, second: second.path.kind }`,
    { to: node.name }
  )
  t.like(doubted, { second: 'direct' })
  const { first } = doubted as { first: { code: string; message: string } }
  t.is(first.code, 'fingerprint-mismatch')
  t.regex(first.message, /somebody may stand in between; .* await peer\.forget\('1\.0'\)/)
})

browserTest('what a page lacks is told with what to do about it', ['chromium'], async t => {
  await using rig = await openRig({ strategies: '[direct, stun]', config, sites: [{ nat }], verify: false })
  const web = await Web.open(rig, 0, 'chromium', 'web')
  await using _web = web
  const given = { gateway: rig.door.url, token: rig.door.token, name: 'web' }
  const joins = (body = '', more: object = {}, as = 'page') =>
    web.run(
      `${body}
      return await postern.join(given).then(({ name, isKept }) => ({ name, isKept }), ({ code, message }) => ({ code, message }))`,
      { ...given, ...more },
      as
    ) as Promise<Record<string, string>>
  const host = rig.world.sites[0]?.hosts[0]?.addresses[0] ?? ''
  await web.do('open', { kind: 'chromium', as: 'insecure', host })
  const insecure = await joins('', {}, 'insecure')
  t.is(insecure.code, 'unsupported')
  t.regex(String(insecure.message), /was loaded from http:\/\/[\d.:]+, .* load it by https, or from localhost/)
  t.like(await joins('', { token: 'wrong' }), { code: 'bad-token', message: 'the join token is wrong' })
  t.like(await joins('', { gateway: await web.do('another', { v: 1 }) }), {
    code: 'bad-message',
    message:
      'the gateway speaks version 1 of the protocol, and this peer version 3; install a newer postern on the gateway'
  })
  t.like(await joins('', { gateway: 'http://localhost:9' }), { code: 'gateway-unreachable' })
  t.like(await joins('', { gateway: 'nowhere' }), { code: 'bad-config' })
  t.like(await joins('', { name: 'no name' }), { code: 'bad-config' })
  const guest = await joins(`indexedDB.open = () => { throw new DOMException('no', 'SecurityError') }`)
  t.false(guest.isKept as unknown)
  t.regex(String(guest.name), /^guest-/)
  t.like(await joins('delete globalThis.RTCPeerConnection'), { code: 'unsupported' })
})

browserTest('the example: two pages write to each other', ['chromium'], async t => {
  await using rig = await openRig({ strategies: '[direct, stun]', config, sites: [{ nat }, { nat }], verify: false })
  const { url, token } = rig.door
  const fill = `const fill = (id, values) => {
      const form = document.querySelector(id)
      for (const [name, value] of Object.entries(values)) form.elements[name].value = value
      form.requestSubmit()
    }
    const says = async what => {
      while (!document.querySelector('#log').textContent.includes(what)) await new Promise(resolve => setTimeout(resolve, 20))
      return document.querySelector('#log').textContent
    }`
  const written = async (site: number, name: string) => {
    const web = await Web.open(rig, site, 'chromium', name)
    await web.do('open', { kind: 'chromium', as: 'example', path: `/example?gateway=${encodeURIComponent(url)}` })
    const joins = `${fill}; fill('#join', given); return await says('joined')`
    t.is(await web.run(joins, { name, token }, 'example'), `joined as ${name}\n`)
    return web
  }
  await using ann = await written(0, 'ann')
  await using bob = await written(1, 'bob')
  const sends = `${fill}; fill('#write', given); return await says('sent to bob')`
  t.regex(String(await ann.run(sends, { to: 'bob', text: 'hello' }, 'example')), /sent to bob, direct, in [\d.]+ ms/)
  t.is(await bob.run(`${fill}; return await says('hello')`, {}, 'example'), 'joined as bob\nann: hello\n')
})
