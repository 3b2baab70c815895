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

/** Milliseconds since the epoch at which the process began, to within 10 ms. */
export async function startedAt(pid: number): Promise<number> {
  const [stat, uptime] = await Promise.all([readFile(`/proc/${pid}/stat`, 'utf8'), readFile('/proc/uptime', 'utf8')])
  const now = Date.now()
  // Field 22 (proc(5)); the second one is a name in parentheses, which may have spaces.
  const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  return now - 1000 * (Number.parseFloat(uptime) - ticks / TICKS)
}

/** What of the process is in memory, in MiB: files that it has mapped, such as the code of Node, are part of it. */
export async function residentMib(pid: number): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1024
}
