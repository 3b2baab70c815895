// The NATs that peers are put behind: each is started on a public host, with a guest behind it.
//
//   slirp4netns, pasta        open a device in the guest's namespace, and sockets on the host
//   gvproxy                   the same, by a client of its own in the guest's namespace
//   sing-box, tun2socks       have a device on the host, to which the host routes what comes from the guest

import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tool } from '../sandbox.ts'
import type { Host } from '../world.ts'
import { type Ground, type Placed, routed, shell, start } from './ground.ts'

/** So many guests of one host, each behind a process of its own. */
export const guests =
  (open: (ground: Ground, guest: Host) => Promise<unknown>, count = 1) =>
  async (ground: Ground): Promise<Placed> => {
    const names = Array.from({ length: count }, (_, index) => `guest${index}`)
    const hosts = await Promise.all(names.map(name => ground.world.namespace(name)))
    for (const guest of hosts) await open(ground, guest)
    return { guests: hosts }
  }

export async function slirp4netns({ host, command }: Ground, guest: Host): Promise<void> {
  const options = ['--configure', '--disable-host-loopback', '--netns-type=path']
  await start(host, [...command('slirp4netns'), ...options, guest.path, 'tap0'], () => routed(guest))
}

// By a descriptor: it gives up what it would need to follow a path through another process's folders.
export async function pasta({ host, command }: Ground, guest: Host): Promise<void> {
  const options = ['--foreground', '--config-net', '--no-map-gw', '-t', 'none', '-u', 'none', '--runas', '0']
  const argv = [...command('pasta'), ...options, '--no-netns-quit', '--netns', '/proc/self/fd/9']
  await start(host, ['/bin/sh', '-c', 'exec 9< "$0"; exec "$@"', guest.path, ...argv], () => routed(guest))
}

/** The guest's address in the network of gvproxy. */
export const GVPROXY_GUEST = '192.168.127.2'

/** Resolves with the socket of its API. */
export async function gvproxy({ host, folder, command }: Ground, guest: Host): Promise<string> {
  const socket = join(folder, `${guest.name}.sock`)
  const listening = async () => existsSync(socket)
  await start(host, [...command('gvproxy'), '-listen', `unix://${socket}`, '-ssh-port', '-1'], listening)
  await shell(
    guest,
    'ip link set lo up',
    'ip tuntap add tap0 mode tap',
    `ip address add ${GVPROXY_GUEST}/24 dev tap0`,
    'ip link set tap0 mtu 1500 up',
    'ip route add default via 192.168.127.1'
  )
  const client = ['-url', `unix://${socket}`, '-preexisting', '-iface', 'tap0']
  await start(guest, [...command('vm'), ...client], () => carries(guest, 'tap0'))
  return socket
}

export async function singBox(ground: Ground, guest: Host): Promise<void> {
  const config = join(ground.folder, 'sing-box.json')
  const tun = {
    type: 'tun',
    interface_name: 'tun0',
    address: ['172.19.0.1/30'],
    mtu: 1500,
    stack: 'gvisor',
    auto_route: false
  }
  await writeFile(config, JSON.stringify({ inbounds: [tun], outbounds: [{ type: 'direct' }] }))
  await start(ground.host, [...ground.command('sing-box'), 'run', '-c', config], () => carries(ground.host, 'tun0'))
  await throughTun(ground, guest)
}

export async function tun2socks(ground: Ground, guest: Host): Promise<void> {
  const { host, command } = ground
  await dante(ground)
  await shell(host, 'ip tuntap add tun0 mode tun', 'ip link set tun0 up')
  const argv = [...command('tun2socks'), '--device', 'tun://tun0', '--proxy', 'socks5://127.0.0.1:1080']
  await start(host, argv, () => carries(host, 'tun0'))
  await throughTun(ground, guest)
}

/** A SOCKS5 server that lets everybody do everything. */
async function dante({ host, folder, command }: Ground): Promise<void> {
  const config = join(folder, 'danted.conf')
  const lines = [
    'logoutput: stderr',
    'internal: 127.0.0.1 port = 1080',
    `external: ${host.addresses[0]}`,
    'clientmethod: none',
    'socksmethod: none',
    'user.unprivileged: root', // it is in a namespace of its own, and a plain user has no other
    'client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }',
    'socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }'
  ]
  await writeFile(config, `${lines.join('\n')}\n`)
  const listening = async () => (await shell(host, 'cat /proc/net/tcp')).includes('0100007F:0438')
  await start(host, [...command('danted'), '-f', config, '-p', join(folder, 'danted.pid')], listening)
}

/** What comes from the guest goes into the device, and from there only what a program there makes of it. */
async function throughTun({ host }: Ground, guest: Host): Promise<void> {
  await shell(
    host,
    `ip link add guest type veth peer name eth0 netns ${guest.path}`,
    'ip address add 10.9.0.1/24 dev guest',
    'ip link set guest up',
    'echo 1 > /proc/sys/net/ipv4/ip_forward',
    'ip route add default dev tun0 table 100',
    'ip rule add iif guest table 100'
  )
  await shell(
    guest,
    'ip link set lo up',
    'ip address add 10.9.0.2/24 dev eth0',
    'ip link set eth0 up',
    'ip route add default via 10.9.0.1'
  )
}

const carries = async (host: Host, device: string): Promise<boolean> =>
  (await host.run([tool('ip'), '-o', 'link', 'show', device])).stdout.includes('LOWER_UP')
