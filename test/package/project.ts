// An empty project in a folder of its own, in which the package is installed as anybody would. Whatever runs there finds
// Node 24 first and nothing of this clone; it is waited for within a bound, and nothing of it is left.

import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Child } from '../../examples/child.ts'

/** What a command in the project may take: installing on a slow line is the longest. */
const PATIENCE_MS = 120_000

export interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export class Project implements AsyncDisposable {
  readonly folder: string
  readonly #opened = new AsyncDisposableStack()

  private constructor(folder: string) {
    this.folder = folder
    this.#opened.defer(() => rm(folder, { recursive: true, force: true }))
  }

  static async open(): Promise<Project> {
    const project = new Project(await realpath(await mkdtemp(join(tmpdir(), 'postern-package-'))))
    await project.write('package.json', JSON.stringify({ name: 'empty', private: true, type: 'module' }))
    return project
  }

  async write(name: string, content: string): Promise<string> {
    const path = join(this.folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
    return path
  }

  /** Path of a command that a package brought. */
  bin(name: string): string {
    return join(this.folder, 'node_modules/.bin', name)
  }

  /** Runs a command in the project, or in `cwd`, to its end. Throws with its own words where it fails. */
  async run(command: string, argv: readonly string[], cwd = this.folder): Promise<string> {
    const { code, stdout, stderr } = await this.attempt(command, argv, cwd)
    if (code !== 0) throw new Error(`${command} ${argv.join(' ')} ended with ${code}:\n${stdout}${stderr}`)
    return stdout
  }

  /** As `run`, and whatever came of it. */
  async attempt(command: string, argv: readonly string[], cwd = this.folder): Promise<Result> {
    const env = environment()
    const child = spawn(command, argv, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: PATIENCE_MS })
    const ended = new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', code => resolve(code ?? 128))
    })
    const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
    return { code, stdout, stderr }
  }

  /** The installed command, as a person who has a key of their own; it ends with the project. */
  start(argv: readonly string[], who: string): Child {
    const env = { ...environment(), POSTERN_HOME: join(this.folder, who) }
    const child = spawn(this.bin('postern'), argv, { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    return this.#opened.use(new Child(child))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }
}

/** This one's, without what `npm run` added of this clone, and with this very Node first. */
function environment(): NodeJS.ProcessEnv {
  const ofClone = /^(npm_package_|npm_lifecycle_|npm_config_local_prefix$|POSTERN_)/i
  const kept = Object.entries(process.env).filter(([name]) => !ofClone.test(name))
  return { ...Object.fromEntries(kept), PATH: [dirname(process.execPath), ...foreignFolders()].join(delimiter) }
}

/** The folders of PATH that are no project's own. */
export function foreignFolders(): string[] {
  const folders = process.env.PATH?.split(delimiter) ?? []
  return folders.filter(folder => folder && !folder.includes('node_modules') && !folder.includes('node-gyp-bin'))
}
