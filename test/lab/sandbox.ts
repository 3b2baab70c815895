// The place a laboratory lives in: one holder process with network, mount and process namespaces of its own (and a user
// namespace, where the caller is no root), so that `ip netns` works inside it and nothing outside is touched.
//
//   this process ──stdin pipe──> unshare ──> cat (the holder)       EOF on the pipe, or our death, ends the holder
//        │                                    └ /run/netns/NAME      and with it every namespace nobody is in
//        └── nsenter ──> setpriv --pdeathsig KILL ──> a command in one of the network namespaces
//
// A command enters the user and network namespaces only, by exec: its process id is real and its files are the usual
// ones. It is killed with this process (by its parent death signal) and, children included, when the sandbox is closed.

import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { text } from 'node:stream/consumers'

export interface Result {
  stdout: string
  stderr: string
  /** Exit code; 128 or more after a signal. */
  code: number
}

export interface Sandbox extends AsyncDisposable {
  /** Runs a shell script as the sandbox's root, in its mount and outer network namespace. Throws what it complained of. */
  script(text: string): Promise<string>
  /** `argv` wrapped so that it runs in the network namespace `name`. */
  command(name: string, argv: readonly string[]): string[]
  spawn(name: string, argv: readonly string[], options?: SpawnOptions): ChildProcess
  run(name: string, argv: readonly string[], input?: string): Promise<Result>
  /** Path of the network namespace `name` as seen from outside. */
  path(name: string): string
}

// node_modules/.bin comes first in PATH under npm and has an unrelated `nft`, and a plain user's PATH often lacks sbin.
const systemFolders = ['/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/local/bin']

/** Where a system tool lies, or undefined. */
export function findTool(name: string): string | undefined {
  const others = (process.env.PATH ?? '').split(':').filter(folder => !folder.includes('node_modules'))
  return [...systemFolders, ...others].map(folder => `${folder}/${name}`).find(path => existsSync(path))
}

export function tool(name: string): string {
  const path = findTool(name)
  if (!path) throw new Error(`the laboratory needs ${name}, which is not installed`)
  return path
}

const scriptPath = () => `${systemFolders.join(':')}:${process.env.PATH ?? ''}`
const isolation = ['--net', '--mount', '--pid', '--fork', '--kill-child']
const userNamespace = ['--user', '--map-root-user']

// Everything the laboratory asks of the kernel, in small.
const trial = `set -e
mount -t tmpfs tmpfs /run
ip netns add trial
ip -n trial link add name lan type bridge
ip link add name a netns trial type veth peer name b
echo 1 > /proc/sys/net/ipv4/ip_forward
nft -f - <<'END'
table ip trial {
  chain postrouting {
    type nat hook postrouting priority srcnat
    meta l4proto udp snat to 203.0.113.1 : numgen inc mod 2 map { 0 : 2000, 1 : 2001 }
    masquerade fully-random
  }
  chain input {
    type filter hook input priority filter
    ct state new reject with icmp port-unreachable
  }
}
END
`

let tried: { flags: string[] } | { problem: string } | undefined

/** Why namespaces cannot be had here, or the flags of `unshare` that bring them. Tried once. */
export function isolationFlags(): { flags: string[] } | { problem: string } {
  tried ??= tryIsolation()
  return tried
}

function tryIsolation(): { flags: string[] } | { problem: string } {
  if (process.platform !== 'linux') return { problem: `needs Linux, this is ${process.platform}` }
  const missing = ['unshare', 'nsenter', 'setpriv', 'ip', 'nft', 'mount', 'sh', 'cat'].filter(name => !findTool(name))
  if (missing.length > 0) return { problem: `missing ${missing.join(', ')}` }
  let problem = ''
  for (const flags of process.getuid?.() === 0 ? [[], userNamespace] : [userNamespace]) {
    problem = tryFlags(flags)
    if (!problem) return { flags }
  }
  return { problem }
}

function tryFlags(flags: string[]): string {
  const env = { ...process.env, PATH: scriptPath() }
  const argv = [...flags, ...isolation, tool('sh'), '-c', trial]
  const { status, stderr, error } = spawnSync(tool('unshare'), argv, { env, encoding: 'utf8', timeout: 20_000 })
  if (status === 0) return ''
  return error?.message ?? (stderr.trim().split('\n')[0] || `unshare ended with ${status}`)
}

/** Opens an empty sandbox. Everything in it ends when it is disposed of, or when this process ends, however it does. */
export async function openSandbox(): Promise<Sandbox> {
  const how = isolationFlags()
  if ('problem' in how) throw new Error(`the laboratory cannot run here: ${how.problem}`)
  const env = { ...process.env, PATH: scriptPath() }
  // /proc is still the outer one, so the shell reads the process id it has outside.
  const hold = 'mount -t tmpfs tmpfs /run && read -r pid rest < /proc/self/stat && echo "$pid" && exec cat > /dev/null'
  const holder = spawn(tool('unshare'), [...how.flags, ...isolation, tool('sh'), '-c', hold], {
    env,
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const ended = once(holder, 'exit')
  const pid = await firstLine(holder)
  if (!/^\d+$/.test(pid)) throw new Error('the holder of the laboratory did not start')
  const user = how.flags.length > 0 ? [`--user=/proc/${pid}/ns/user`, '--preserve-credentials'] : []
  const folder = `/proc/${pid}/root/run/netns`
  const children = new Set<ChildProcess>()

  const track = (child: ChildProcess) => {
    children.add(child)
    child.once('exit', () => children.delete(child))
    return child
  }
  const path = (name: string) => `${folder}/${name}`
  const command = (name: string, argv: readonly string[]) => [
    tool('nsenter'),
    ...user,
    `--net=${path(name)}`,
    '--',
    tool('setpriv'),
    '--pdeathsig',
    'KILL',
    '--',
    ...argv
  ]
  const start = ([file, ...argv]: string[], options: SpawnOptions) => track(spawn(file as string, argv, options))
  const inside = [
    tool('nsenter'),
    ...user,
    `--mount=/proc/${pid}/ns/mnt`,
    `--net=/proc/${pid}/ns/net`,
    '--',
    tool('sh')
  ]

  const close = async () => {
    const identities = namespaceIdentities(folder)
    for (const child of children) child.kill('SIGKILL')
    for (const process of processesIn(identities)) kill(process)
    await Promise.all([...children].map(child => once(child, 'exit')))
    holder.stdin.end()
    await ended
  }
  let closing: Promise<void> | undefined
  // Without the holder no command can be started any more; those that run must not outlive it.
  void ended.then(() => {
    for (const child of children) child.kill('SIGKILL')
  })

  return {
    path,
    command,
    spawn: (name, argv, options = {}) => start(command(name, argv), options),
    run: (name, argv, input) => collect(start(command(name, argv), { stdio: 'pipe' }), input),
    async script(lines) {
      const { stdout, stderr, code } = await collect(start([...inside, '-e'], { env, stdio: 'pipe' }), lines)
      if (code !== 0) throw new Error(`laboratory script failed (${code}): ${stderr.trim().slice(0, 1000)}`)
      return stdout
    },
    [Symbol.asyncDispose]() {
      closing ??= close()
      return closing
    }
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  let line = ''
  for await (const chunk of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    line += chunk
    if (line.includes('\n')) break
  }
  return line.trim()
}

async function collect(child: ChildProcess, input = ''): Promise<Result> {
  child.stdin?.on('error', () => {}) // a command need not read what it is given
  child.stdin?.end(input)
  const out = child.stdout ? text(child.stdout) : ''
  const err = child.stderr ? text(child.stderr) : ''
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  return { stdout: await out, stderr: await err, code: signal ? 128 : (code ?? 128) }
}

function namespaceIdentities(folder: string): Set<string> {
  try {
    return new Set(readdirSync(folder).map(name => `net:[${statSync(`${folder}/${name}`).ino}]`))
  } catch {
    return new Set() // the holder is gone, or no namespace was ever added
  }
}

// Commands may have started others: what lives in one of our namespaces is ours.
function processesIn(identities: Set<string>): number[] {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return pids.filter(pid => identities.has(namespaceOf(pid))).map(Number)
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return '' // ended meanwhile, or somebody else's
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ended meanwhile
  }
}
