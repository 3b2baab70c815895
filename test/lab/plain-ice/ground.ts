// Plain ICE in a laboratory: coturn and the switchboard on the gateway's host, so that all that is said takes the way of our own
// signalling, and who speaks it on the other hosts, in a page or in Node.

import type { Web } from '../../browser/page.ts'
import { authority, certified } from '../../browser/tls.ts'
import { Driven } from '../driven.ts'
import type { Host, World } from '../world.ts'
import { startCoturn } from './coturn.ts'
import type { IceDeeds, IceTried, Joining } from './driver.ts'
import { plainIce } from './page.ts'

/** Where the other party is found. */
export type IceGround = Pick<Joining, 'url' | 'server'>

export interface IceActor {
  readonly name: string
  /** Once is enough. */
  join(): Promise<void>
  /** What opened stays open until `release`. */
  call(to: string): Promise<IceTried>
  /** Of what kind its own candidate of the newest connection is; `relay` where either side's is. */
  candidate(): Promise<string | undefined>
  release(): Promise<void>
}

const PORT = 8443
const driver = new URL('driver.ts', import.meta.url)

/** By TLS, as the gateway is joined. */
export async function openIceGround({ gateway }: World): Promise<IceGround & AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const { address, port, user = '', password = '' } = opened.use(await startCoturn(gateway))
  const switchboard = opened.use(new Driven<IceDeeds>(gateway, driver))
  await switchboard.do('serve', { port: PORT, tls: certified })
  const all = opened.move()
  return {
    url: `wss://${address}:${PORT}`,
    server: { address, port, user, password },
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}

export function iceInPage(web: Web, { url, server }: IceGround): IceActor {
  const { name } = web
  return {
    name,
    join: async () => void (await web.run(`if (!globalThis.ice) { ${plainIce} }`, { url, server, name })),
    async call(to) {
      const ms = (await web.run('return await ice.call(given.to)', { to })) as number | null
      return ms === null ? {} : { ms }
    },
    candidate: async () => ((await web.run('return await ice.candidate()')) as string | null) ?? undefined,
    release: async () => void (await web.run('ice.release()'))
  }
}

/** In a process of its own, from when it joins on. */
export function iceInNode(host: Host, name: string, { url, server }: IceGround): IceActor & AsyncDisposable {
  let process: Driven<IceDeeds> | undefined
  const joined = (): Driven<IceDeeds> => {
    if (!process) throw new Error(`${name} has not joined the switchboard`)
    return process
  }
  return {
    name,
    async join() {
      if (process) return
      process = new Driven<IceDeeds>(host, driver)
      await process.do('join', { url, server, name, ca: authority })
    },
    call: to => joined().do('call', { to, hold: true }),
    candidate: () => joined().do('candidate', {}),
    release: () => joined().do('release', {}),
    [Symbol.asyncDispose]: async () => void (await process?.kill('SIGKILL'))
  }
}
