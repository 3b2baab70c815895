import test from 'ava'
import fc from 'fast-check'
import { type Behaviour, type Profile, profileOf, reaches, type Sample } from '../../src/nat/profile.ts'
import { behaviours } from '../scenes.ts'

const [one, two] = ['203.0.113.1', '203.0.113.2'] as const
const nat = '198.51.100.7'
const own = { port: 12000, addresses: [{ address: '10.0.0.2', prefix: 24 }] }

/** Samples of a socket: the port it was seen with at [address of the gateway, port of the gateway]. */
const seen = (rows: readonly [via: string, port: number, mapped: number | string][]): Sample[] =>
  rows.map(([address, port, mapped], index) => ({
    via: { address, port },
    primary: index === 0,
    mapped: typeof mapped === 'number' ? { address: nat, port: mapped } : { address: mapped, port: 5000 },
    atMs: index,
    sinceMs: index
  }))

test('mapping is told from which endpoints see the same port (RFC 4787, 4.1)', t => {
  const table: [string, readonly [string, number, number | string][], Behaviour][] = [
    [
      'all the same',
      [
        [one, 1, 5000],
        [one, 2, 5000],
        [two, 1, 5000],
        [two, 2, 5000]
      ],
      'endpoint-independent'
    ],
    [
      'by address',
      [
        [one, 1, 5000],
        [one, 2, 5000],
        [two, 1, 5001],
        [two, 2, 5001]
      ],
      'address-dependent'
    ],
    [
      'by address and port',
      [
        [one, 1, 5000],
        [one, 2, 5001],
        [two, 1, 5002],
        [two, 2, 5003]
      ],
      'address-and-port-dependent'
    ],
    [
      'by port alone',
      [
        [one, 1, 5000],
        [one, 2, 5001]
      ],
      'address-and-port-dependent'
    ],
    [
      'a pool of addresses',
      [
        [one, 1, nat],
        [two, 1, '198.51.100.8']
      ],
      'address-dependent'
    ],
    [
      'one address of the gateway',
      [
        [one, 1, 5000],
        [one, 2, 5000]
      ],
      'unknown'
    ],
    ['one endpoint of the gateway', [[one, 1, 5000]], 'unknown'],
    ['nothing at all', [], 'unknown']
  ]
  for (const [what, rows, expected] of table) t.is(profileOf(seen(rows), own, undefined).mapping, expected, what)
})

test('filtering is told from which answers came through (RFC 4787, 5), and never guessed', t => {
  const table = [
    [undefined, 'unknown'],
    [{ port: true, address: true }, 'endpoint-independent'],
    [{ port: true, address: false }, 'address-dependent'],
    [{ port: false, address: false }, 'address-and-port-dependent'],
    [{ port: true }, 'address-dependent'],
    [{ port: false }, 'address-and-port-dependent']
  ] as const
  for (const [heard, expected] of table) t.is(profileOf([], own, heard).filtering, expected)
})

test('whether flows are remapped is passed on where it was tested', t => {
  t.false('remaps' in profileOf([], own, { port: false }))
  for (const remaps of [true, false]) t.is(profileOf([], own, { port: false, remaps }).remaps, remaps)
})

test('a verdict rests on the latest sample of each endpoint', t => {
  const samples = seen([
    [one, 1, 5000],
    [two, 1, 5000],
    [one, 1, 6000],
    [two, 1, 6000]
  ])
  const { mapping, samples: kept } = profileOf(samples, own, undefined)
  t.is(mapping, 'endpoint-independent')
  t.deepEqual(
    kept.map(({ mapped }) => mapped.port),
    [6000, 6000]
  )
})

test('nothing is translated only where the own address and port are seen at every endpoint', t => {
  const bare = { port: 5000, addresses: [{ address: nat, prefix: 24 }] }
  t.false(profileOf(seen([[one, 1, 5000]]), bare, undefined).translated)
  t.true(
    profileOf(
      seen([
        [one, 1, 5000],
        [two, 1, 5001]
      ]),
      bare,
      undefined
    ).translated
  )
  t.true(profileOf(seen([[one, 1, 5000]]), { ...bare, port: 5001 }, undefined).translated)
  t.true(profileOf(seen([[one, 1, 5000]]), own, undefined).translated)
  t.true(profileOf([], own, undefined).translated, 'without a sample nothing is known')
})

test('the addresses of a pool are all named, each once', t => {
  const rows = seen([
    [one, 1, nat],
    [one, 2, nat],
    [two, 1, '198.51.100.8']
  ])
  t.deepEqual(profileOf(rows, own, undefined).addresses, [nat, '198.51.100.8'])
})

test('one reaches another where its packet passes the filter and the answer finds back', t => {
  const [ei, ad, apd, un] = behaviours as [Behaviour, Behaviour, Behaviour, Behaviour]
  const yes: [Behaviour, Behaviour, Behaviour][] = [
    [ei, ei, ei],
    [ei, ei, ad],
    [ei, ei, apd],
    [ad, ei, ei],
    [ad, ei, ad],
    [apd, ei, ei],
    [apd, ei, ad]
  ]
  const given = (mapping: Behaviour, filtering: Behaviour) => ({ mapping, filtering }) as Profile
  for (const from of behaviours)
    for (const mapping of behaviours)
      for (const filtering of behaviours) {
        // What is unknown may be any of the three: the answer is known if all of these have the same one.
        const may = (one: Behaviour) => (one === un ? [ei, ad, apd] : [one])
        const answers = new Set(
          may(from).flatMap(a =>
            may(mapping).flatMap(b => may(filtering).map(c => yes.some(([x, y, z]) => x === a && y === b && z === c)))
          )
        )
        const expected = answers.size === 1 ? [...answers][0] : undefined
        t.is(reaches(given(from, ei), given(mapping, filtering)), expected, `${from} to ${mapping}, ${filtering}`)
      }
})

test('whatever the samples, a verdict comes without an error, and more samples of the same change nothing', t => {
  const row = fc.tuple(fc.constantFrom(one, two), fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 65535 }))
  fc.assert(
    fc.property(fc.array(row, { maxLength: 20 }), rows => {
      const samples = seen(rows)
      const first = profileOf(samples, own, undefined)
      const again = profileOf([...samples, ...first.samples], own, undefined)
      t.deepEqual([again.mapping, again.translated], [first.mapping, first.translated])
    })
  )
})
