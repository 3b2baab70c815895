// A world of peers made by hand.

import { HandMade } from '../../hand-made.ts'
import { World, type WorldSpec } from '../../world.ts'

/** They say that nothing filters unless they are to keep it to themselves. */
export async function handMade(
  names: readonly string[],
  { filtering = true, ...spec }: WorldSpec & { filtering?: boolean } = {}
) {
  const world = await World.open(spec)
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
