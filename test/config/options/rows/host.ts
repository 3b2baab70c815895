// What takes a whole host, or the command line: the ports that are open by default, and the log.

import { fileURLToPath } from 'node:url'
import { World } from '../../../cli/world.ts'
import { openWorld } from '../../../lab/world.ts'
import { type Options, type Rows, yamlOf } from '../option.ts'

const program = fileURLToPath(new URL('../answering.ts', import.meta.url))

/** Opens a gateway on a host that has 203.0.113.6 and 127.0.0.1, and gives those of these places that answer. */
const answering =
  (places: readonly string[]) =>
  async (options: Options): Promise<readonly string[]> => {
    await using world = await openWorld({ sites: [], verify: false })
    const argv = [process.execPath, program, yamlOf(options), ...places]
    const { stdout, stderr } = await world.gateway.run(argv)
    if (!stdout) throw new Error(stderr)
    return JSON.parse(stdout)
  }

/** What the command writes to standard error until it is told to stop. */
const logged =
  (look: (log: string) => string) =>
  async (options: Options): Promise<string> => {
    await using world = await World.open()
    const gateway = await world.gateway(yamlOf(options))
    gateway.signal('SIGTERM')
    await gateway.ended
    return look(gateway.stderr)
  }

export const hostRows: Rows = {
  'listen.http': {
    changed: '127.0.0.1:8081',
    laboratory: true,
    observe: answering(['http://127.0.0.1:8080', 'http://203.0.113.6:8080', 'http://127.0.0.1:8081']),
    outcomes: [['http://127.0.0.1:8080', 'http://203.0.113.6:8080'], ['http://127.0.0.1:8081']]
  },
  'listen.udp.addresses': {
    changed: ['203.0.113.6'],
    laboratory: true,
    observe: answering(['stun://127.0.0.1:3478', 'stun://203.0.113.6:3478']),
    outcomes: [['stun://127.0.0.1:3478', 'stun://203.0.113.6:3478'], ['stun://203.0.113.6:3478']]
  },
  'listen.udp.ports': {
    changed: [4000],
    laboratory: true,
    observe: answering([3478, 3479, 3480, 4000].map(port => `stun://127.0.0.1:${port}`)),
    outcomes: [[3478, 3479, 3480].map(port => `stun://127.0.0.1:${port}`), ['stun://127.0.0.1:4000']]
  },
  'log.level': {
    changed: 'warn',
    observe: logged(log => (log.includes('listening') ? 'says that it listens' : 'silent')),
    outcomes: ['says that it listens', 'silent']
  },
  // Where nobody sits at a terminal.
  'log.format': {
    changed: 'pretty',
    observe: logged(log => (log.startsWith('{') ? 'JSON' : 'text')),
    outcomes: ['JSON', 'text']
  }
}
