// `npm run test:package`: what `npm pack` makes is installed into an empty project and used there as anybody would use it.
// Each part prints what it took; the first that is not as it should be ends the test with its reason.
//
//   pack -> install -> compile the README's example, a program and a plugin -> gateway -> program, ping, pages -> old Nodes

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Child } from '../../examples/child.ts'
import { part, seconds } from '../part.ts'
import { foreignFolders, Project } from './project.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const here = import.meta.dirname
const { version, devDependencies: pins } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
const token = 'join-token-of-the-package'

/** The compiler's options of a careful project; what the libraries themselves say is checked as well. */
const strict = {
  strict: true,
  target: 'es2024',
  types: ['node'],
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true
}

await using project = await Project.open()
const since = performance.now()
const tarball = await part('npm pack', pack)
await part('install it', () => install(tarball))
await part('compile against its types', compile)
await part('install a plugin', () => install('./made/postern-plugin-loopback', '--install-links'))
const gateway = await part('a gateway with that plugin', openGateway)
await part('two peers of a program', () => runProgram(gateway))
await part('npx postern ping', () => ping(gateway))
await part('pages and what they need', () => look(gateway))
await part('npx postern --version', tellVersion)
await part('stopping', () => stop(gateway))
await part('a Node that is too old', oldNode)
console.log(`the package works; all of it took ${seconds(since)}`)

/** Builds and packs; the tarball's path. */
async function pack(): Promise<string> {
  const options = ['--json', '--foreground-scripts=false', '--pack-destination', project.folder]
  const [made] = JSON.parse(await project.run('npm', ['pack', ...options], root))
  const paths: string[] = made.files.map(({ path }: { path: string }) => path)
  console.log(`${made.filename}: ${kib(made.size)} packed, ${kib(made.unpackedSize)} unpacked, ${paths.length} files`)
  const own =
    /^(dist|docs|bin|config\/examples|deploy)\/|^config\/postern\.(yaml|schema\.json)$|^[A-Z]+(\.md)?$|^package\.json$/
  const odd = (path: string) => !own.test(path) || (/\.ts$/.test(path) && !path.endsWith('.d.ts'))
  assert.deepEqual(paths.filter(odd), [], 'files that nobody who installs the package needs')
  // The code of all that is in dist/browser is one module, dist/browser.js.
  const codeOf = (path: string) => (path.startsWith('dist/browser/') ? 'dist/browser.js' : path.replace('.d.ts', '.js'))
  const untyped = paths.filter(path => /^dist\/.*\.d\.ts$/.test(path) && !paths.includes(codeOf(path)))
  assert.deepEqual(untyped, [], 'types without code')
  assert.ok(paths.includes('dist/postern.1'), 'the manual page')
  return join(project.folder, made.filename)
}

function kib(bytes: number): string {
  return `${Math.round(bytes / 1024)} KiB`
}

async function install(...what: string[]): Promise<void> {
  const tools = ['typescript', '@types/node'].map(name => `${name}@${pins[name]}`)
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
  await project.run('npm', ['install', ...quiet, ...what, ...tools])
}

/** The README's own example, a program and a plugin, by both ways of resolving that tell types from code. */
async function compile(): Promise<void> {
  await project.write('src/readme.ts', await exampleOfReadme())
  await copyFile(join(here, 'program.ts'), join(project.folder, 'src/program.ts'))
  await project.write('src/postern-plugin-loopback/index.ts', await readFile(join(here, 'plugin.ts'), 'utf8'))
  const made = { name: 'postern-plugin-loopback', version: '1.0.0', type: 'module', exports: { import: './index.js' } }
  await project.write('made/postern-plugin-loopback/package.json', JSON.stringify(made))
  const ways = [
    { module: 'nodenext', rootDir: 'src', outDir: 'made' },
    { module: 'esnext', moduleResolution: 'bundler', noEmit: true }
  ]
  for (const way of ways) {
    const options = { compilerOptions: { ...strict, ...way }, include: ['src'] }
    await project.run(project.bin('tsc'), ['--project', await project.write('tsconfig.json', JSON.stringify(options))])
  }
}

async function exampleOfReadme(): Promise<string> {
  const readme = await readFile(join(root, 'README.md'), 'utf8')
  const [, code] = /\n## From a program\n[\s\S]*?\n```ts\n([\s\S]*?)```/.exec(readme) ?? []
  assert.ok(code?.includes("from 'postern'"), 'the README has an example below "From a program"')
  return code ?? ''
}

interface RunningGateway {
  readonly child: Child
  readonly url: string
  /** What a command takes to join it. */
  readonly options: readonly string[]
}

async function openGateway(): Promise<RunningGateway> {
  const config = await project.write(
    'postern.yaml',
    `listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0, 0] } }
join: { token: ${token} }
admin: { open: loopback }
strategies: [postern-plugin-loopback: { waitMs: 5s }, relay]
`
  )
  const child = project.start(['gateway', '--config', config, '--json'], 'operator')
  const url = String((await child.event('listening')).url)
  return { child, url, options: ['--gateway', url, '--token', token, '--json'] }
}

async function runProgram({ url }: RunningGateway): Promise<void> {
  const said = await project.run(process.execPath, ['made/program.js', url, token, project.folder])
  assert.deepEqual(JSON.parse(said), { heard: ['from alice', 'from bob'], by: 'loopback', kind: 'direct' })
}

async function ping({ options }: RunningGateway): Promise<void> {
  const carol = project.start(['peer', 'carol', ...options], 'carol')
  await carol.event('joined')
  const said = await project.run('npx', ['--no-install', 'postern', 'ping', 'carol', '--count', '2', ...options])
  const events: { event: string; by?: string }[] = said
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  assert.equal(events.filter(({ event }) => event === 'ping').length, 2)
  assert.equal(events.find(({ event }) => event === 'path')?.by, 'loopback')
  carol.signal('SIGINT')
  assert.equal(await carol.ended, 0)
}

/** What src reads at run time must have been copied: the style, the script and the icon. */
async function look({ url }: RunningGateway): Promise<void> {
  const answer = await fetch(url, { headers: { accept: 'text/html' } })
  const page = await answer.text()
  const assets = [...page.matchAll(/"([./]*\/assets\/[^"]+)"/g)].map(([, path = '']) => path)
  assert.deepEqual(assets.map(path => path.replace(/.*\./, '')).toSorted(), ['css', 'js', 'svg'])
  for (const path of assets) {
    const asset = await fetch(new URL(path, answer.url))
    assert.ok(asset.ok && (await asset.text()).length > 100, path)
  }
  const module = await fetch(new URL('postern.js', answer.url))
  assert.ok(module.ok && /export\s*\{/.test(await module.text()), 'the module for pages of others')
}

async function tellVersion(): Promise<void> {
  assert.equal((await project.run('npx', ['--no-install', 'postern', '--version'])).trim(), version)
}

async function stop({ child }: RunningGateway): Promise<void> {
  child.signal('SIGINT')
  assert.equal(await child.ended, 0)
}

/** Where the system's own Node is too old, the package says so, and the clone runs by the Node that it brought. */
async function oldNode(): Promise<void> {
  const old = await systemNode()
  if (!old) return console.log('         (not tried: the Node of this system is new enough)')
  const installed = join(project.folder, 'node_modules/postern/bin/postern.js')
  const { code, stderr } = await project.attempt(old, [installed, '--version'])
  assert.equal(code, 1)
  assert.match(
    stderr,
    /^postern: needs Node 24 or newer, and this is Node \d+\.\d+\.\d+; https:\/\/nodejs\.org\S* has it\n$/
  )
  assert.equal((await project.run(old, [join(root, 'bin/postern.js'), '--version'])).trim(), version)
}

/** The first Node of PATH that no project brought, where it is too old; undefined otherwise. */
async function systemNode(): Promise<string | undefined> {
  const node = foreignFolders()
    .map(folder => join(folder, 'node'))
    .find(existsSync)
  const major = node && (await project.run(node, ['--print', 'parseInt(process.versions.node, 10)']))
  return Number(major) < 24 ? node : undefined
}
