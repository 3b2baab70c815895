// A plugin as somebody else would write it, against the installed types: peers on one computer meet on loopback. The test of
// the package compiles it, installs it as a package of its own, and names it in a gateway's YAML.

import type { Order, Plugin, Side } from 'postern/plugin'

const loopback: Plugin<{ waitMs: number }> = {
  name: 'loopback',
  defaults: { waitMs: '2s' },
  start: ({ waitMs }) => ({
    *plan({ caller, callee }) {
      yield { kind: 'plan', caller: towards(callee), callee: towards(caller), waitMs, why: 'both are on one computer' }
    }
  })
}

export default loopback

function towards({ port }: Side): Order {
  return { kind: 'punch', targets: [{ address: '127.0.0.1', port }] }
}
