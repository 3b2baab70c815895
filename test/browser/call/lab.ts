// A room of a gateway in the laboratory, whose link pages of a call open.

import './built.ts'
import { openRig, type Rig } from '../../lab/rig.ts'
import { nat } from '../page.ts'
import { authority, tlsFiles } from '../tls.ts'

export { opensLink } from './opens.ts'

/**
 * Two sites, a gateway with calls, and the link of a room.
 * @param delaysMs one way, between each site and the public network
 */
export async function openCall(
  strategies: string,
  delaysMs: readonly number[] = [0, 0]
): Promise<{ rig: Rig; link: string } & AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const files = opened.use(await tlsFiles())
  const config = `call: { enabled: true }\nlisten: { tls: ${files.yaml}, udp: { ports: [3478, 3479, 3480] } }`
  const sites = delaysMs.map(delayMs => ({ nat, line: { delayMs } }))
  const rig = opened.use(await openRig({ strategies, config, ca: authority, sites, peers: false, verify: false }))
  const { url, token } = rig.door
  await rig.gateway.do('join', { url, token, name: 'maker', ca: authority })
  const link = await rig.gateway.do('room', { name: 'standup' })
  const all = opened.move()
  return { rig, link, [Symbol.asyncDispose]: () => all.disposeAsync() }
}
