// miniupnpd in a box: a real router's server of PCP, NAT-PMP and UPnP IGD. It writes the ports that hosts ask for as rules into
// nftables chains of its own, in the table `inet filter`; the box's own rules (nat.ts) let through what these translate. It is told
// all on its command line, and leaves no file behind.
//
// An outside address of 203.0.113.0/24 is not public to it, so a site that has it gets one of 203.0.112.0/24 (world.ts).

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { tool } from './sandbox.ts'
import type { Host } from './world.ts'

export interface PortMapper {
  /**
   * Starts anew, having forgotten all mappings. Its epoch then begins at zero, or with `uptime`, as at its first start, at the
   * uptime of the computer: so nobody has to wait to see that it has started anew. Resolves when it answers again.
   */
  restart(options?: { uptime?: boolean }): Promise<void>
  /** Answers nothing any more; mappings live on. */
  stop(): Promise<void>
  /** Outside ports that are forwarded, by the host's endpoint: `5000 -> 192.168.1.100:5000`. */
  mappings(): Promise<string[]>
}

/** The box's rules that it writes into. Over themselves, they are empty again. */
export const mapperRules = [
  'table inet filter',
  'delete table inet filter',
  'table inet filter {',
  'chain miniupnpd {',
  '}',
  'chain prerouting_miniupnpd {',
  'type nat hook prerouting priority dstnat - 1',
  '}',
  'chain postrouting_miniupnpd {',
  '}',
  '}',
  ''
].join('\n')

/** Starts it in a box whose interfaces are `wan` and `lan`. Resolves when it answers. */
export async function startPortMapper(box: Host): Promise<PortMapper> {
  let child = await start(box, ['-U'])
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    await exit
  }
  return {
    stop,
    async restart({ uptime = false } = {}) {
      await stop()
      await box.nft(mapperRules)
      child = await start(box, uptime ? ['-U'] : [])
    },
    async mappings() {
      const { stdout } = await box.run([tool('nft'), 'list', 'chain', 'inet', 'filter', 'prerouting_miniupnpd'])
      return [...stdout.matchAll(/th dport (\d+) dnat ip to (\S+)/g)].map(([, port, to]) => `${port} -> ${to}`)
    }
  }
}

// Hosts map ports for themselves alone (-S). The file of options is empty, and the one of the process id cannot be made.
const options = ['-d', '-f', '/dev/null', '-P', '/dev/null/pid', '-i', 'wan', '-a', 'lan', '-4', '-N', '-S']
const permission = ['-A', 'allow 1024-65535 0.0.0.0/0 1024-65535', '-A', 'deny 0-65535 0.0.0.0/0 0-65535']

async function start(box: Host, more: readonly string[]): Promise<ChildProcess> {
  const child = box.spawn([tool('miniupnpd'), ...options, ...permission, ...more], {
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let said = ''
  for await (const chunk of child.stderr?.iterator({ destroyOnReturn: false }) ?? []) {
    said += chunk
    if (!said.includes('Listening for NAT-PMP/PCP traffic')) continue
    child.stderr?.resume() // what it says from now on is read and not kept, so that it never waits
    return child
  }
  throw new Error(`miniupnpd ended before it was ready: ${said.trim()}`)
}
