import { openRig } from './rig.ts'
import type { NatType } from './nat.ts'
import { fileURLToPath } from 'node:url'
const cli = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const [type, delay = '0', ...rest] = process.argv.slice(2)
await using rig = await openRig({ sites: [{ nat: type as NatType, line: { delayMs: Number(delay) } }], strategies: '[direct, stun, relay]' })
const site = rig.world.sites[0]!
const run = (args: string[]) => new Promise<number>(resolve => {
  const child = site.hosts[0]!.spawn([process.execPath, cli, 'nat', '--gateway', rig.door.url, '--token', rig.door.token, '--insecure', ...args], { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, POSTERN_HOME: '/tmp/natlab/home' } })
  child.on('exit', code => resolve(code ?? -1))
})
console.log('exit', await run(rest))
