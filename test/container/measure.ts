// When a gateway in a container is ready, and what it holds, as seen from outside.

import { readFile } from 'node:fs/promises'
import type { Host } from '../lab/world.ts'

/** Clock ticks of /proc in a second: the same on every architecture of Linux. */
const TICKS = 100

/** Asks until the answer is 200, from the gateway's own network; prints when that was. It runs where there is only Node. */
const poller = `
import { get } from 'node:http'
const ask = () => new Promise(resolve => {
  const asking = get(process.argv[1], { agent: false }, answer => resolve(answer.resume().statusCode === 200))
  asking.on('error', () => resolve(false))
})
const lateMs = Date.now() + 60_000
while (!(await ask()) && Date.now() < lateMs) await new Promise(resolve => setTimeout(resolve, 5))
console.log(Date.now())
process.exit(Date.now() < lateMs ? 0 : 1)
`

/** Milliseconds since the epoch at the first 200. Rejects after a minute. */
export async function readyAt(host: Host, url: string): Promise<number> {
  const { code, stdout, stderr } = await host.run([process.execPath, '--input-type=module', '--eval', poller, url])
  if (code !== 0) throw new Error(`${url} did not answer with 200 within a minute; ${stderr}`)
  return Number(stdout.trim().split('\n').at(-1))
}

export interface Times {
  /** Milliseconds since the epoch, to within 10 ms. */
  readonly started: number
  /** Milliseconds that all of its threads have had a processor so far. */
  readonly processorMs: number
}

/** When the process began, and what it has taken since. */
export async function timesOf(pid: number): Promise<Times> {
  const [stat, uptime] = await Promise.all([readFile(`/proc/${pid}/stat`, 'utf8'), readFile('/proc/uptime', 'utf8')])
  const now = Date.now()
  // Fields 14, 15 and 22 (proc(5)), in ticks. The second one is a name in parentheses, which may have spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user = 0, system = 0, start = 0] = [fields[11], fields[12], fields[19]].map(Number)
  return {
    started: now - 1000 * (Number.parseFloat(uptime) - start / TICKS),
    processorMs: (1000 * (user + system)) / TICKS
  }
}

/** What of the process is in memory, in MiB: files that it has mapped, such as the code of Node, are part of it. */
export async function residentMib(pid: number): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1024
}
