// Sides that go away, or do nothing: killed, stopped, cut off or called back while a plan is tried. Their path is cut, so that
// the plan takes its time.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Tried } from '../../lab/driver.ts'
import { drop, forwarding } from '../../lab/drop.ts'
import type { Rig } from '../../lab/rig.ts'
import type { Host, Site } from '../../lab/world.ts'
import type { Cause, Lane } from '../cause.ts'
import { boxOf, call, cut, first, punching, second, siteOf, sites, told } from '../means.ts'

/** A plan that is still being tried when something happens to those who try it. */
const patient = { strategies: '[stun: { waitMs: 8s }, relay]' }

const causes: readonly Cause[] = [
  {
    what: 'the callee dies midway',
    done: 'SIGKILL while a plan is tried',
    code: 'peer-lost',
    side: 'callee',
    gateway: patient,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1))
      return await midway(
        rig,
        () => first(rig).connect(guest, 0),
        () => guest.process.kill('SIGKILL')
      )
    }
  },
  {
    what: 'the caller dies midway',
    done: 'SIGKILL while a plan is tried',
    code: 'peer-lost',
    side: 'caller',
    gateway: patient,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 0))
      const trying = () => guest.connect(second(rig), 0).catch(() => undefined)
      return await midway(rig, trying, () => guest.process.kill('SIGKILL'))
    }
  },
  {
    what: "the callee's signalling is cut midway",
    done: 'TCP to the gateway is reset at its NAT',
    code: 'peer-lost',
    side: 'callee',
    gateway: { strategies: '[stun: { waitMs: 2s }, relay]' },
    async inject(rig) {
      await using cutting = new AsyncDisposableStack()
      const box = boxOf(siteOf(rig, 1))
      return await midway(
        rig,
        () => call(rig, 0, 1),
        async () => void cutting.use(await forwarding(box, ...resetting))
      )
    }
  },
  {
    what: 'the user gives up midway',
    done: 'SIGINT to `postern ping` while a plan is tried',
    code: 'peer-left',
    side: 'caller',
    gateway: patient,
    async inject(rig) {
      await using ping = await pinging(rig, siteOf(rig, 0), second(rig).name)
      return await midway(rig, ping.run, async () => ping.interrupt())
    }
  },
  {
    what: 'the callee does nothing it is told',
    done: 'SIGSTOP after it had joined',
    code: 'never-obeyed',
    side: 'callee',
    gateway: { strategies: '[stun, relay: { waitMs: 500ms }]' },
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1))
      await told([guest], 'filter')
      await guest.process.kill('SIGSTOP')
      return await first(rig).connect(guest, 0)
    }
  },
  {
    what: 'UDP to the relay is lost after joining',
    done: "from the callee, dropped at the callee's NAT, as what opens other doors",
    code: 'udp-blocked',
    side: 'callee',
    gateway: { strategies: '[relay: { waitMs: 500ms }]' },
    async inject(rig) {
      await told(rig.peers, 'filter')
      // Nor does it come to the relay's other doors, which it would do just in time, or just not.
      const doors = 'iifname lan tcp flags & (syn | ack) == syn'
      await using _lost = await drop(boxOf(siteOf(rig, 1)), 'iifname lan meta l4proto udp', doors)
      return await call(rig, 0, 1)
    }
  }
]

export const leaving: Lane = { sites: sites('port-restricted', 'port-restricted'), causes }

/** Something happens while the first two sites try what cannot work. */
async function midway(
  rig: Rig,
  attempt: () => Promise<Tried | undefined>,
  happens: () => Promise<void>
): Promise<Tried | undefined> {
  const [a, b] = [siteOf(rig, 0), siteOf(rig, 1)]
  await using _cut = await cut(rig, a, b)
  await Promise.all([a.resetSent(), b.resetSent()])
  const trying = attempt()
  await punching(a, b)
  await happens()
  return await trying
}

/** Whoever speaks TCP to the gateway's port, or hears from it, is told that nobody is there. */
const resetting = ['tcp dport 8080 reject with tcp reset', 'tcp sport 8080 reject with tcp reset']

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))

/** The command on a site's host, as a user would type it. */
async function pinging(
  rig: Rig,
  { hosts }: Site,
  peer: string
): Promise<AsyncDisposable & { run: () => Promise<undefined>; interrupt: () => void }> {
  const home = await mkdtemp(join(tmpdir(), 'postern-causes-'))
  const { url, token } = rig.door
  const argv = [process.execPath, main, 'ping', peer, '--gateway', url, '--token', token, '--insecure']
  let child: ChildProcess | undefined
  return {
    async run() {
      child = (hosts[0] as Host).spawn(argv, { stdio: 'ignore', env: { POSTERN_HOME: home } })
      await once(child, 'exit')
      return undefined
    },
    interrupt: () => child?.kill('SIGINT'),
    async [Symbol.asyncDispose]() {
      child?.kill('SIGKILL')
      await rm(home, { recursive: true })
    }
  }
}
