// The strategy of own-plugin.yaml. A VPN is one network wherever its members are, which no gateway can know by itself: whoever
// configures it does. Aim at addresses only where they are what you think they are, since peers send to whatever a plan names.

/** @type {import('postern/plugin').Plugin<{ subnet: string, waitMs: number }>} */
export default {
  name: 'vpn',
  // Each option with its default, which says what type it has. A duration arrives in milliseconds.
  defaults: { subnet: '10.8.0.', waitMs: '300ms' },
  start: ({ subnet, waitMs }) => ({
    *plan({ caller, callee }) {
      const [towardsCaller, towardsCallee] = [within(subnet, caller), within(subnet, callee)]
      if (towardsCaller.length === 0 || towardsCallee.length === 0)
        yield { kind: 'pass', reason: `${caller.name} and ${callee.name} are not both in the VPN` }
      else
        yield {
          kind: 'plan',
          caller: { kind: 'punch', targets: towardsCallee },
          callee: { kind: 'punch', targets: towardsCaller },
          waitMs: waitMs + 3 * (caller.rttMs + callee.rttMs),
          why: 'both are in the VPN'
        }
    }
  })
}

/** Where a side is reached in the VPN: its socket listens on each address that its host has. */
const within = (subnet, { addresses, port }) =>
  addresses
    .filter(({ address }) => address.startsWith(subnet))
    .slice(0, 4)
    .map(({ address }) => ({ address, port }))
