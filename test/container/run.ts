// `npm run test:container`: builds the image of the Dockerfile, and uses it as its operators would, in a laboratory of NATs. Each part
// prints what it took; the first that is not as it should be ends the test with its reason. Nothing is left of it, whatever happens.
//
//   base ─► image ─► what is in it ─► gateway, confined ─► two peers behind NATs ─► SIGTERM ─► another user ─► SIGTERM ─► any user
//
// Where containers cannot be run it says why in one line, and ends with 0; with POSTERN_LAB=required, with 1.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openWorld } from '../lab/world.ts'
import { part, seconds } from '../part.ts'
import { baseName, provideBase } from './base.ts'
import { attempt, containerProblem, Engine } from './engine.ts'
import { Gateways } from './gateways.ts'
import { peopled } from './people.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const image = 'localhost/postern-under-test:latest'

/** What docs/operations.md aims at: an image in MB of 10^6 bytes, which is held; start and memory, which are told. */
const goals = { imageMb: 285, readyMs: 1000, residentMib: 90 }

/** The user that the image names, another one, and one that finds a volume that nobody has used. */
const users = { image: 1000, other: 4242, any: 31_337 }

const problem = containerProblem()
if (problem === undefined) await everything()
else {
  console.log(`containers are not tested: ${problem}`)
  if (process.env.POSTERN_LAB === 'required') process.exitCode = 1
}

async function everything(): Promise<void> {
  const since = performance.now()
  await using engine = await Engine.open()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => void leave(engine))
  const base = await part('the base image', () => provideBase(engine))
  console.log(`         it is ${base}`)
  await part('build the Dockerfile', () => build(engine))
  const sizes = await part('what is in the image', () => lookInside(engine))
  const sites = [{ nat: 'port-restricted' as const }, { nat: 'port-restricted' as const }]
  await using world = await openWorld({ sites, gatewayAddresses: 1 })
  const gateways = new Gateways(engine, image, world)
  const state = await engine.folderOf('state', users.image)
  const tokenFile = join(state, 'postern/join-token')
  const first = await part('a gateway, confined, as the user of the image', () => gateways.open(users.image, state))
  const token = await readFile(tokenFile, 'utf8')
  await part('its HEALTHCHECK', () => engine.podman('healthcheck', 'run', first.name))
  const joining = () => peopled(engine.folder, world, token.trim())
  await using people = await part('a peer behind a NAT joins', joining)
  await part('another sends it a file, directly', () => people.send('direct'))
  await part('and one through the relay', () => people.send('relay', '--relay-only'))
  await part('SIGTERM', () => gateways.stop(first.name))
  await engine.folderOf('state', users.other)
  const second = await part('a new container, as another user', () => gateways.open(users.other, state))
  assert.equal(await readFile(tokenFile, 'utf8'), token, 'the join token has stayed')
  await part('the peer is there again, and its name is its own', () => people.back())
  await part('a file again', () => people.send('direct'))
  await part('SIGTERM', () => gateways.stop(second.name))
  await part('any user begins a new volume', () => gateways.begin(users.any))
  await part('a state that cannot be written', () => gateways.refuse(users.any))
  const quicker = first.ms < second.ms ? first : second
  tell([
    ['image', sizes.image, goals.imageMb, 'MB'],
    ['of it the base', sizes.base, undefined, 'MB'],
    ['ready after its start', quicker.ms, goals.readyMs, 'ms'],
    ['of it on a processor', quicker.processorMs, undefined, 'ms'],
    ['resident when idle', Math.max(first.mib, second.mib), goals.residentMib, 'MiB']
  ])
  console.log(`the container works; all of it took ${seconds(since)}`)
}

/** Whoever has had enough leaves nothing behind either. */
async function leave(engine: Engine): Promise<void> {
  await engine[Symbol.asyncDispose]()
  process.exit(1)
}

type Row = readonly [what: string, measured: number, goal: number | undefined, unit: string]

function tell(rows: readonly Row[]): void {
  for (const [what, measured, goal, unit] of rows) {
    const beside = goal === undefined ? '' : `goal ${goal}${measured < goal ? '' : ', missed'}`
    console.log(`  ${what.padEnd(24)}${`${measured.toFixed(0)} ${unit}`.padEnd(12)}${beside}`)
  }
}

async function build(engine: Engine): Promise<void> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const { code, stdout } = await attempt(['git', '-C', root, 'rev-parse', 'HEAD'])
  await engine.build(root, image, { VERSION: version, REVISION: code === 0 ? stdout.trim() : '' })
}

/** What it weighs, in MB. */
async function lookInside(engine: Engine): Promise<{ image: number; base: number }> {
  const { Size, User, Labels } = await inspect(engine, image)
  assert.match(User, /^\d+:\d+$/, 'a user by number: Kubernetes takes no name where nobody may be root')
  const labels = ['title', 'description', 'source', 'licenses', 'version', 'revision']
  assert.deepEqual(
    labels.filter(name => Labels[`org.opencontainers.image.${name}`] === undefined),
    [],
    'labels'
  )
  const find = ['find', '/app', '-name', '*.map', '-o', '-name', '*.d.ts', '-o', '-name', '*.cc']
  const odd = await engine.look(image, find)
  assert.equal(odd.trim(), '', 'files that nobody runs')
  assert.ok(Size / 1e6 < goals.imageMb, `the image has ${Size / 1e6} MB`)
  const base = await inspect(engine, baseName).catch(() => ({ Size: Number.NaN }))
  return { image: Size / 1e6, base: base.Size / 1e6 }
}

interface Inspected {
  readonly Size: number
  readonly User: string
  readonly Labels: Readonly<Record<string, string>>
}

async function inspect(engine: Engine, name: string): Promise<Inspected> {
  const [found] = JSON.parse(await engine.podman('image', 'inspect', name))
  return { Size: found.Size, User: found.Config.User, Labels: found.Config.Labels ?? {} }
}
