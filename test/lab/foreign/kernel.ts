// A NAT of the kernel that does what userspace NATs were seen to do: where a host tells that it has no such port, the flow is
// over for a minute.

import type { Ground, Placed } from './ground.ts'

const rules = `table ip ending {
  set ended {
    type inet_service
    flags dynamic,timeout
    timeout 60s
  }
  chain through {
    type filter hook forward priority filter - 1
    iifname lan icmp type destination-unreachable add @ended { @th,240,16 }
    iifname lan udp sport @ended drop
  }
}
`

export async function endsFlows({ world }: Ground): Promise<Placed> {
  await world.sites[0]?.boxes[0]?.nft(rules)
  return {}
}
