// What a gateway is put behind: programs that publish its ports, as containers' engines do. Each runs on the host that has
// the gateway's public address, and the gateway lives in a namespace behind it.

import { request } from 'node:http'
import { dirname, join } from 'node:path'
import { tool } from '../sandbox.ts'
import { type Ground, type Placed, start } from './ground.ts'
import { GVPROXY_GUEST, gvproxy } from './guests.ts'
import { cache } from './part.ts'

/** What a gateway of the laboratory listens on. */
const published = [
  ['tcp', 8080],
  ['udp', 3478],
  ['udp', 3479]
] as const

export async function gvproxyExposing(ground: Ground): Promise<Placed> {
  const { gateway: host, namespace } = ground.world
  const gateway = await namespace('published', { addresses: host.addresses })
  const socket = await gvproxy({ ...ground, host }, gateway)
  for (const [protocol, port] of published)
    await post(socket, '/services/forwarder/expose', {
      protocol,
      local: `${host.addresses[0]}:${port}`,
      remote: `${GVPROXY_GUEST}:${port}`
    })
  return { gateway }
}

function post(socketPath: string, path: string, body: object): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const sent = request({ socketPath, path, method: 'POST' }, answer => {
    answer.resume()
    if (answer.statusCode === 200) resolve()
    else reject(new Error(`${path}: ${answer.statusCode}`))
  })
  sent.on('error', reject)
  sent.end(JSON.stringify(body))
  return promise
}

/** Its builtin driver forwards in the program; the other has slirp4netns do it. */
export type PortDriver = 'builtin' | 'slirp4netns'

export const rootlesskit =
  (driver: PortDriver) =>
  async ({ world, folder, command }: Ground): Promise<Placed> => {
    if (process.getuid?.() !== 0) throw new Error('only root can give a plain user what rootlesskit needs')
    const { gateway: host } = world
    const publish = published.flatMap(([protocol, port]) => ['-p', `${host.addresses[0]}:${port}:${port}/${protocol}`])
    const options = ['--net=slirp4netns', '--disable-host-loopback', `--port-driver=${driver}`, ...publish]
    const argv = command('rootlesskit').map(word => word.replaceAll(cache, COMMANDS))
    const state = join(folder, 'state')
    const plain = [tool('unshare'), '--mount', tool('sh'), '-c', asPlainUser, cache, folder, dirname(argv.at(-1) ?? '')]
    const inside = [tool('sh'), '-c', 'echo inside: $$; exec sleep infinity']
    let of = 0
    await start(host, [...plain, ...argv, `--state-dir=${state}`, ...options, ...inside], said => {
      of = Number(/^inside: (\d+)$/m.exec(said)?.[1])
      return of > 0
    })
    return { gateway: await world.namespace('published', { addresses: host.addresses, of }) }
  }

/** Where a plain user finds the cache folder, which may lie where it has no way in. */
const COMMANDS = '/mnt'

// rootlesskit is made for a plain user with subordinate users. That is `nobody` here, and what it lacks is bound over what is
// there, in a mount namespace of its own: the subordinates, a device that it may open, and the way to the commands.
const asPlainUser = `set -e
cache=$0 folder=$1 commands=$2; shift 2
PATH=$commands:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
chmod 711 "$folder"; cd "$folder"; mkdir state device; chown nobody state
echo nobody:100000:65536 > subordinates
mount --bind subordinates /etc/subuid
mount --bind subordinates /etc/subgid
mount -t tmpfs -o mode=755 tmpfs device
mknod -m 666 device/tun c 10 200
mount --bind device/tun /dev/net/tun
mount --bind "$cache" ${COMMANDS}
exec setpriv --reuid=nobody --regid=nogroup --clear-groups --pdeathsig KILL "$@"
`
