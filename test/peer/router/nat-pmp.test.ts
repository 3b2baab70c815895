// NAT-PMP at a router that answers what the test says.

import test from 'ava'
import { HandMadeRouter, type NatPmpTold, natPmpAnswer, unsupported } from './hand-made-router.ts'
import { mapped, refused } from './made.ts'

const protocols = ['nat-pmp'] as const
const answering = (told: NatPmpTold) => ({ mapping: (asked: Buffer) => [natPmpAnswer(asked, told) ?? unsupported] })

test('the address is asked for, then the port, in the form of RFC 6886; at the end the port is given back', async t => {
  await using router = await HandMadeRouter.open(answering({}))
  const mapping = await mapped(t, router, { protocols })
  t.deepEqual(mapping.external, { address: '203.0.113.9', port: 5000 })
  await mapping.close()
  t.deepEqual(
    router.asked.map(asked => asked.toString('hex')),
    ['0000', '0001000013881388000004b0', '000100001388000000000000']
  )
})

test('a router that answers PCP with version 0 is asked by NAT-PMP at once', async t => {
  await using router = await HandMadeRouter.open(answering({ port: 5007 }))
  const mapping = await mapped(t, router, {})
  t.is(mapping.protocol, 'nat-pmp')
  t.deepEqual(mapping.external, { address: '203.0.113.9', port: 5007 })
  t.deepEqual(
    router.asked.map(asked => asked.length),
    [60, 2, 12]
  )
})

test('a router without a public address is asked for no port', async t => {
  const told: NatPmpTold[] = [{ result: 3, address: '0.0.0.0' }, { address: '0.0.0.0' }, { address: '100.99.0.1' }]
  for (const answer of told) {
    await using router = await HandMadeRouter.open(answering(answer))
    t.is((await refused(router, { protocols })).reason, 'carrier')
    t.is(router.asked.length, 1)
  }
})

test('results are told apart', async t => {
  for (const [result, text] of [
    [2, /refuses a port by NAT-PMP: it does not allow it/],
    [4, /has no ports left/],
    [77, /error 77/]
  ] as const) {
    await using router = await HandMadeRouter.open({
      mapping: asked => [natPmpAnswer(asked, asked.length === 12 ? { result } : {}) ?? unsupported]
    })
    const refusal = await refused(router, { protocols })
    t.is(refusal.reason, 'refused')
    t.regex(refusal.text, text)
  }
})

test('what is no answer to this request is nonsense', async t => {
  const wrong: Record<string, (asked: Buffer) => Buffer> = {
    'another port': asked => natPmpAnswer(asked, { localPort: 5001 }) as Buffer,
    'a short answer': asked => (natPmpAnswer(asked) as Buffer).subarray(0, 11),
    'another operation': asked => Buffer.concat([Buffer.from([0, 130]), (natPmpAnswer(asked) as Buffer).subarray(2)]),
    echo: asked => asked,
    empty: () => Buffer.alloc(0)
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
