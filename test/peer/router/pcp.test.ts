// PCP at a router that answers what the test says. What a real one answers is in miniupnpd.test.ts.

import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import test from 'ava'
import { mapPort } from '../../../src/peer/router/router.ts'
import { HandMadeRouter, type PcpTold, pcpAnswer } from './hand-made-router.ts'
import { mapped, refused } from './made.ts'

const protocols = ['pcp'] as const

test('a MAP request has the form of RFC 6887, and asks for the local port', async t => {
  await using router = await HandMadeRouter.open({ mapping: asked => [pcpAnswer(asked)] })
  const mapping = await mapped(t, router, { protocols })
  t.deepEqual(mapping.external, { address: '203.0.113.9', port: 5000 })
  t.is(mapping.localPort, 5000)
  t.is(mapping.protocol, 'pcp')
  const [asked = Buffer.alloc(0)] = router.asked
  t.is(router.asked.length, 1)
  t.is(asked.length, 60)
  t.is(asked.toString('hex', 0, 24), '0201000000' + '0004b0' + '00000000000000000000ffff7f000001')
  t.is(asked.toString('hex', 36), '11000000' + '13881388' + '00000000000000000000ffff00000000')
})

test('the port that the router grants in place of another is taken', async t => {
  await using router = await HandMadeRouter.open({ mapping: asked => [pcpAnswer(asked, { port: 5001 })] })
  t.deepEqual((await mapped(t, router, { protocols })).external, { address: '203.0.113.9', port: 5001 })
})

test('a mapping is given back once, with its nonce and a lifetime of 0', async t => {
  await using router = await HandMadeRouter.open({ mapping: asked => [pcpAnswer(asked)] })
  const mapping = await mapped(t, router, { protocols })
  await Promise.all([mapping.close(), mapping.close()])
  await mapping.close()
  const [asked, deleted] = router.asked
  t.is(router.asked.length, 2)
  t.is(deleted?.readUInt32BE(4), 0)
  t.deepEqual(deleted?.subarray(24, 42), asked?.subarray(24, 42))
  t.is(deleted?.readUInt16BE(42), 0)
  t.is(mapping.external, undefined)
})

test('a router that is silent at the end is not waited for', async t => {
  await using router = await HandMadeRouter.open({ mapping: asked => [pcpAnswer(asked)] })
  const mapping = await mapped(t, router, { protocols })
  router.answers = {}
  await mapping.close()
  await router.askedTimes(2)
  t.is(router.asked.at(-1)?.readUInt32BE(4), 0)
})

test('a router that never answers is asked three times', async t => {
  await using router = await HandMadeRouter.open()
  const refusal = await refused(router, { protocols })
  t.like(refusal, { reason: 'silent', routerAddress: '127.0.0.1' })
  t.is(refusal.text, 'the router at 127.0.0.1 does not answer by PCP')
  t.is(router.asked[0]?.readUInt32BE(4), 1200)
  t.true(router.transmissions >= 3) // and once it was told, without waiting, that the port is not wanted
})

test('a lost question is repeated', async t => {
  await using router = await HandMadeRouter.open({
    mapping: asked => (router.transmissions < 3 ? [] : [pcpAnswer(asked)])
  })
  t.truthy((await mapped(t, router, { protocols })).external)
})

test('what is no answer to this request is nonsense', async t => {
  const wrong: Record<string, (asked: Buffer) => Buffer> = {
    nonce: asked => pcpAnswer(asked, { nonce: randomBytes(12) }),
    port: asked => pcpAnswer(asked, { localPort: 5001 }),
    protocol: asked => pcpAnswer(asked, { protocol: 6 }),
    version: asked => pcpAnswer(asked, { version: 3 }),
    echo: asked => asked,
    short: asked => pcpAnswer(asked).subarray(0, 56),
    odd: asked => Buffer.concat([pcpAnswer(asked), Buffer.alloc(1)]),
    long: asked => Buffer.concat([pcpAnswer(asked), Buffer.alloc(1044)]),
    empty: () => Buffer.alloc(0),
    noise: asked => Buffer.alloc(asked.length, 0x9c)
  }
  const outcomes = Object.entries(wrong).map(async ([name, answer]) => {
    await using router = await HandMadeRouter.open({ mapping: asked => [answer(asked)] })
    return [name, (await refused(router, { protocols })).reason]
  })
  t.deepEqual(
    await Promise.all(outcomes),
    Object.keys(wrong).map(name => [name, 'nonsense'])
  )
})

test('the right answer counts behind any number of wrong ones', async t => {
  const wrong = Array.from({ length: 50 }, (_, n) => Buffer.alloc(60, 200 + n))
  await using router = await HandMadeRouter.open({ mapping: asked => [...wrong, pcpAnswer(asked)] })
  t.truthy((await mapped(t, router, { protocols })).external)
})

test('an answer from another source than the router is not heard', async t => {
  const stranger = createSocket('udp4')
  await using router = await HandMadeRouter.open({
    mapping(asked, from) {
      stranger.send(pcpAnswer(asked, { address: '203.0.113.66' }), from.port, from.address)
      return []
    }
  })
  t.is((await refused(router, { protocols })).reason, 'silent')
  stranger.close()
})

test('an outside address that is not public is a carrier, and what was granted is given back', async t => {
  for (const address of ['10.1.2.3', '100.64.1.2', '192.168.7.1', '169.254.1.1']) {
    await using router = await HandMadeRouter.open({ mapping: asked => [pcpAnswer(asked, { address })] })
    t.like(await refused(router, { protocols }), { reason: 'carrier', outsideAddress: address })
    await router.askedTimes(2)
    t.is(router.asked[1]?.readUInt32BE(4), 0, address)
  }
})

test('an outside address or port that cannot be is nonsense, and what was granted is given back', async t => {
  const lies: PcpTold[] = [
    { address: '127.0.0.1' },
    { address: '224.0.0.5' },
    { address: '255.255.255.255' },
    { port: 0 }
  ]
  for (const lie of lies) {
    await using router = await HandMadeRouter.open({ mapping: asked => [pcpAnswer(asked, lie)] })
    t.is((await refused(router, { protocols })).reason, 'nonsense', JSON.stringify(lie))
    await router.askedTimes(2)
    t.is(router.asked[1]?.readUInt32BE(4), 0, JSON.stringify(lie))
  }
})

test('an address of IPv6 is no outside address', async t => {
  await using router = await HandMadeRouter.open({
    mapping(asked) {
      const answer = pcpAnswer(asked)
      answer.write('20010db8000000000000000000000001', 44, 'hex')
      return [answer]
    }
  })
  t.like(await refused(router, { protocols }), { reason: 'nonsense' })
})

test('a router of another version of PCP does not know this one', async t => {
  await using router = await HandMadeRouter.open({ mapping: asked => [pcpAnswer(asked, { version: 1, result: 1 })] })
  t.like(await refused(router, { protocols }), { reason: 'silent', text: 'the router at 127.0.0.1 does not know PCP' })
})

test('results are told apart: refused, or a carrier above', async t => {
  const told: [PcpTold, string, RegExp][] = [
    [{ result: 2, address: '0.0.0.0' }, 'refused', /refuses a port by PCP: it does not allow it/],
    [{ result: 8, address: '0.0.0.0' }, 'refused', /has no ports left/],
    [{ result: 12, address: '0.0.0.0' }, 'refused', /another NAT lies between them/],
    [{ result: 99, address: '0.0.0.0' }, 'refused', /error 99/],
    [{ result: 8, address: '100.64.1.2' }, 'carrier', /100\.64\.1\.2/],
    [{ result: 7, address: '0.0.0.0' }, 'carrier', /no public address of its own/]
  ]
  for (const [answer, reason, text] of told) {
    await using router = await HandMadeRouter.open({ mapping: asked => [pcpAnswer(asked, answer)] })
    const refusal = await refused(router, { protocols })
    t.is(refusal.reason, reason as typeof refusal.reason)
    t.regex(refusal.text, text)
    t.is(router.asked.length, 1, 'there is nothing to give back')
  }
})

test('who calls it off has an error, and the router hears that the port is not wanted', async t => {
  const over = new AbortController()
  await using router = await HandMadeRouter.open({
    mapping() {
      over.abort(new Error('enough'))
      return []
    }
  })
  const asking = mapPort({ localPort: 5000, router: router.router, protocols, signal: over.signal })
  await t.throwsAsync(asking, { message: 'enough' })
  await t.throwsAsync(mapPort({ localPort: 5000, router: router.router, signal: over.signal }), { message: 'enough' })
  await router.askedTimes(2)
  t.deepEqual(
    router.asked.map(asked => asked.readUInt32BE(4)),
    [1200, 0]
  )
})
