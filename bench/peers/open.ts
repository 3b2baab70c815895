// hyperdht on the hosts of a rig, beside postern's own peers; installed on first use, from its own lockfile.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { Driven } from '../../test/lab/driven.ts'
import type { Rig } from '../../test/lab/rig.ts'
import type { HyperdhtDeeds, HyperdhtTried } from './hyperdht.ts'

export interface Hyperdht extends AsyncDisposable {
  /** One fresh connection from the first site to the second. */
  call(): Promise<HyperdhtTried>
}

/** Its network on the gateway's host, a client on the first site's first host and a server on the second's. */
export async function openHyperdht({ world }: Rig): Promise<Hyperdht> {
  install()
  await using opened = new AsyncDisposableStack()
  const script = new URL('hyperdht.ts', import.meta.url)
  const [client, server] = world.sites.map(site => site.hosts[0])
  if (!client || !server) throw new Error('hyperdht needs a host on each of two sites')
  const network = opened.use(new Driven<HyperdhtDeeds>(world.gateway, script))
  const bootstrap = await network.do('serve', { addresses: world.gateway.addresses })
  const callee = opened.use(new Driven<HyperdhtDeeds>(server, script))
  const to = await callee.do('listen', { bootstrap })
  const caller = opened.use(new Driven<HyperdhtDeeds>(client, script))
  await caller.do('join', { bootstrap })
  const all = opened.move()
  return { call: () => caller.do('call', { to }), [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** Installs what is locked here where it is missing. Throws with the command that failed. */
function install(): void {
  if (existsSync(new URL('node_modules/hyperdht', import.meta.url))) return
  const argv = ['ci', '--prefix', import.meta.dirname]
  console.log('installing hyperdht, once: npm ci --prefix bench/peers')
  const { status } = spawnSync('npm', argv, { stdio: 'inherit' })
  if (status !== 0) throw new Error('npm ci --prefix bench/peers did not succeed; it needs the npm registry')
}
