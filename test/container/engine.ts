// What builds and runs containers: buildah and podman with storage of their own, in a folder that is removed with all that is in it.
// Where there is a Docker engine, it builds, from the base image of the registry, as most people will. podman runs the image in either
// case, since it puts a container into a network namespace of the laboratory.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { findTool, tool } from '../lab/sandbox.ts'
import { labProblem } from '../lab/world.ts'

/** What building may take on a slow line and a busy machine. */
const PATIENCE_MS = 300_000

/** How long a registry may take for the base image, in milliseconds. */
const REGISTRY_MS = 90_000

/** In the container `npm ci` trusts what this computer trusts. It is mounted for the build, and in no layer. */
const authorities = '/etc/ssl/certs/ca-certificates.crt'

export interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Why containers cannot be run here, in one line; undefined where they can. */
export function containerProblem(): string | undefined {
  if (process.getuid?.() !== 0) return 'takes root: containers are put into network namespaces of the laboratory'
  const missing = ['podman', 'buildah', 'runc', 'debootstrap'].filter(name => !findTool(name))
  if (missing.length > 0) return `missing ${missing.join(', ')}`
  return labProblem() ?? overlayProblem()
}

/** Layers lie over each other, which takes a right and a kernel that knows how; a container may have neither. */
function overlayProblem(): string | undefined {
  const trial = `cd "$(mktemp -d)" && trap 'rm -rf "$PWD"' EXIT && mkdir a b c d &&
    unshare --mount mount -t overlay overlay -o lowerdir=a,upperdir=b,workdir=c d`
  const { status, stderr } = spawnSync(tool('sh'), ['-c', trial], { encoding: 'utf8', timeout: 20_000 })
  return status === 0 ? undefined : stderr.trim().split('\n')[0] || 'overlay cannot be mounted'
}

/** Runs a command to its end. Throws with its own words where it fails. */
export async function run(argv: readonly string[], patienceMs = PATIENCE_MS): Promise<string> {
  const { code, stdout, stderr } = await attempt(argv, patienceMs)
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}:\n${`${stdout}${stderr}`.slice(-4000)}`)
  return stdout
}

/** Each with a group of its own, so that what it has started ends with it. */
const running = new Set<ChildProcess>()

/** Ends what runs still, where somebody has had enough. */
async function endAll(): Promise<void> {
  const ended = [...running].map(child => once(child, 'exit'))
  for (const { pid } of running) if (pid) process.kill(-pid, 'SIGKILL')
  await Promise.all(ended)
}

/** As `run`, and whatever came of it. 128: it was ended, or took too long. */
export async function attempt([name = '', ...argv]: readonly string[], patienceMs = PATIENCE_MS): Promise<Result> {
  const env = { ...process.env, PATH: '/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin' }
  const child = spawn(tool(name), argv, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: patienceMs, detached: true })
  const closed = once(child, 'close')
  running.add(child)
  child.once('exit', () => running.delete(child))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await closed
  return { code: code ?? 128, stdout, stderr }
}

export interface State {
  /** Process id outside of the container; 0 where it has ended. */
  readonly pid: number
  readonly exitCode: number
  readonly killedForMemory: boolean
}

/** The limits that the image is made for: nothing of a root's rights, and nothing that can be written but /state and /tmp. */
const confined = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges']

/** Limits that podman may set where it has not all rights of a root itself, and no timers of systemd for the health check. */
const limits = ['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=4096:4096', '--health-interval=disable']

export class Engine implements AsyncDisposable {
  readonly folder: string
  readonly #storage: readonly string[]
  readonly #containers: string[] = []

  private constructor(folder: string) {
    this.folder = folder
    this.#storage = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run'), '--storage-driver', 'overlay']
  }

  static async open(): Promise<Engine> {
    return new Engine(await mkdtemp(join(tmpdir(), 'postern-container-')))
  }

  buildah(...argv: readonly string[]): Promise<string> {
    return run(['buildah', ...this.#storage, ...argv])
  }

  podman(...argv: readonly string[]): Promise<string> {
    return run(this.#podman(argv))
  }

  #podman(argv: readonly string[]): string[] {
    return ['podman', ...this.#storage, '--cgroup-manager=cgroupfs', '--runtime', tool('runc'), ...argv]
  }

  /** Whether a registry has the image, and it is here now. */
  async pull(image: string): Promise<boolean> {
    const { code } = await attempt(['buildah', ...this.#storage, 'pull', '--quiet', image], REGISTRY_MS)
    return code === 0
  }

  /** Builds the Dockerfile of a folder. */
  async build(context: string, tag: string, values: Readonly<Record<string, string>>): Promise<void> {
    const given = Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`])
    if (hasDocker()) {
      const archive = join(this.folder, 'image.tar')
      await run(['docker', 'build', '--tag', tag, ...given, context])
      await run(['docker', 'save', '--output', archive, tag])
      await run(['docker', 'image', 'rm', tag])
      await this.podman('load', '--quiet', '--input', archive)
      return rm(archive)
    }
    const npmrc = join(this.folder, 'npmrc')
    await writeFile(npmrc, `cafile=${authorities}\n`)
    const trust = existsSync(authorities)
      ? ['--volume', `${authorities}:${authorities}:ro`, '--volume', `${npmrc}:/root/.npmrc:ro`]
      : []
    const how = ['--isolation', 'chroot', '--network', 'host', '--format', 'docker', '--pull-never']
    await this.buildah('bud', '--quiet', ...how, ...trust, ...given, '--tag', tag, context)
  }

  /** A folder that containers may have as their /state, of this user. */
  async folderOf(name: string, uid: number): Promise<string> {
    const path = join(this.folder, name)
    await mkdir(path, { recursive: true })
    await run(['chown', '--recursive', `${uid}:${uid}`, path])
    return path
  }

  /** Starts a confined container in the background. */
  async start(name: string, image: string, options: readonly string[]): Promise<void> {
    this.#containers.push(name)
    await this.podman('run', '--detach', '--name', name, ...limits, ...confined, ...options, image)
  }

  /** Runs a command in a container of its own, without a network; what it wrote. */
  look(image: string, command: readonly string[]): Promise<string> {
    return this.podman('run', '--rm', '--network', 'none', ...limits, ...confined, image, ...command)
  }

  async state(name: string): Promise<State> {
    const [found] = JSON.parse(await this.podman('inspect', '--type', 'container', name))
    const { Pid, ExitCode, OOMKilled } = found.State
    return { pid: Pid, exitCode: ExitCode, killedForMemory: OOMKilled }
  }

  /** What it wrote. */
  async logs(name: string): Promise<string> {
    const { stdout, stderr } = await attempt(this.#podman(['logs', name]))
    return `${stdout}${stderr}`
  }

  /** Asks it to end, and waits until it has; longer than `graceS` seconds, and it is killed. */
  async stop(name: string, graceS: number): Promise<State> {
    await this.podman('stop', '--time', String(graceS), name)
    return this.state(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endAll()
    for (const name of this.#containers) await attempt(this.#podman(['rm', '--force', '--time', '0', name]))
    await attempt(this.#podman(['volume', 'prune', '--force']))
    await attempt(this.#podman(['rmi', '--all', '--force']))
    // Storage is mounted upon itself.
    await attempt(['umount', '--recursive', join(this.folder, 'storage/overlay')])
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Whether a Docker engine answers: its client alone builds nothing. */
export function hasDocker(): boolean {
  const docker = findTool('docker')
  return docker !== undefined && spawnSync(docker, ['info'], { stdio: 'ignore', timeout: 10_000 }).status === 0
}
