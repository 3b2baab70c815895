// A world of peers made by hand.

import { HandMade } from '../../hand-made.ts'
import { World, type WorldSpec } from '../../world.ts'

/** Plans that wait for what a test has to say, on a computer however busy. */
export const patient = {
  direct: 'direct: { waitMs: 60s }',
  stun: 'stun: { waitMs: 60s }',
  relay: 'relay: { waitMs: 60s }'
}

/** They say that nothing filters unless they are to keep it to themselves. */
export async function handMade(
  names: readonly string[],
  { filtering = true, more = '', ...spec }: WorldSpec & { filtering?: boolean } = {}
) {
  const strategies = `[${Object.values(patient).join(', ')}]`
  const world = await World.open({ strategies, ...spec, more: `deadline: 60s\n${more}` })
  const peers = await Promise.all(
    names.map(async name =>
      HandMade.join(world.url, { identity: await world.identity(name), token: world.gateway.joinToken, name })
    )
  )
  if (filtering) for (const peer of peers) peer.say({ type: 'filtering', port: true, address: true })
  return {
    world,
    peers: peers as [HandMade, HandMade, HandMade],
    async [Symbol.asyncDispose]() {
      await Promise.all(peers.map(peer => peer.close()))
      await world[Symbol.asyncDispose]()
    }
  }
}
