// `node tools/image.ts FOLDER`: what the container has of postern, for the Dockerfile. A gateway that loads two files instead of a
// thousand starts sooner and takes less memory, and nothing is left of packages but what is run:
//
//   src, and the packages that it imports ─► dist/*.js      beside them what is read at run time: styles, a script, what browsers load
//   packages with native code ─────────────► node_modules   without their sources, types and documents
//   licences of all of these ──────────────► THIRD-PARTY.txt

import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build, type Plugin } from 'esbuild'
import { isMade, writeBundles } from './bundle.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = join(root, 'src')

/** Packages with native code: they find it by where they lie. */
const native = ['koffi', 'node-datachannel']

/** Of a native package: what is run. The folders have what the compiler or another C library would need. */
const isRun = /\.([cm]?js|json|node)$|licen[cs]e/i
const notRun = /(^|[\\/])(vendor|doc|polyfill|musl_\w+|lib[\\/]native|src[\\/]cpp)([\\/]|$)/

/** Files are found by where their reader lies: in one file with all others it still says where it lay. */
const here: Plugin = {
  name: 'here',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const url = `new URL(${JSON.stringify(`./${slashed(relative(source, path)).replace(/ts$/, 'js')}`)}, import.meta.url).href`
      return { loader: 'ts', contents: text.replaceAll('import.meta.url', url) }
    })
}

const options: BuildOptions = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  external: native,
  metafile: true,
  logLevel: 'warning',
  // Packages of the older kind ask for Node's own modules by `require`.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);"
  }
}

const [, , folder] = process.argv
if (folder) await makeImage(folder)
else {
  process.stderr.write('node tools/image.ts FOLDER: the folder to write to is missing\n')
  process.exitCode = 1
}

async function makeImage(folder: string): Promise<void> {
  const dist = join(folder, 'dist')
  await cp(source, dist, { recursive: true, filter: path => !isMade.test(path) })
  await writeBundles(dist)
  const inputs = [...(await compile(dist)), ...(await copyNative(join(folder, 'node_modules')))]
  for (const name of ['bin', 'config', 'LICENSE']) await cp(join(root, name), join(folder, name), { recursive: true })
  await writeFile(join(folder, 'package.json'), JSON.stringify(await ownPackage()))
  await writeFile(join(folder, 'THIRD-PARTY.txt'), await licences(new Set(inputs.flatMap(packageOf))))
}

/** The command line with all that it may load, and the program of the relay's threads, which is small by itself. */
async function compile(dist: string): Promise<string[]> {
  const thread = 'gateway/relay/batch/thread'
  const made = await Promise.all([
    build({ ...options, entryPoints: [join(source, 'main.ts')], outdir: dist, splitting: true, plugins: [here] }),
    build({ ...options, entryPoints: [join(source, `${thread}.ts`)], outfile: join(dist, `${thread}.js`) })
  ])
  return made.flatMap(({ metafile }) => Object.keys(metafile?.inputs ?? {}))
}

/** Copies the packages with native code, and those that they need. The folders that they lay in. */
async function copyNative(to: string): Promise<string[]> {
  const found = new Map<string, string>()
  for (const name of native) await findAll(name, join(root, 'package.json'), found)
  for (const [name, from] of found)
    for (const file of await readdir(from, { recursive: true }))
      if (isRun.test(file) && !notRun.test(file)) await cp(join(from, file), join(to, name, file), { recursive: true })
  return [...found.values()].map(from => join(from, 'package.json'))
}

/** A package, as far as it is installed, and all that it depends on. */
async function findAll(name: string, asker: string, found: Map<string, string>): Promise<void> {
  const places = createRequire(asker).resolve.paths(name) ?? []
  const manifests = await Promise.all(places.map(place => readManifest(join(place, name, 'package.json'))))
  const at = manifests.findIndex(Boolean)
  const [place, manifest] = [places[at], manifests[at]]
  if (!place || !manifest || found.has(name)) return
  found.set(name, join(place, name))
  const needed = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })
  for (const one of needed) await findAll(one, join(place, name, 'package.json'), found)
}

interface Manifest {
  readonly version?: string
  readonly license?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

async function readManifest(path: string): Promise<Manifest | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Manifest)
}

/** What the command line reads of it, and what says which files are modules. */
async function ownPackage(): Promise<Record<string, unknown>> {
  const { name, version, license, type } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  return { name, version, license, type, private: true }
}

/** The folder of the package that a file lies in; none for files of ours. */
function packageOf(file: string): string[] {
  const [, found] = /^(.*node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)/.exec(file) ?? []
  return found ? [join(root, relative(root, found))] : []
}

/** Each package with its version and the text of its licence, or its name where it ships no text. */
async function licences(folders: ReadonlySet<string>): Promise<string> {
  const texts = [...folders].toSorted().map(async folder => {
    const { version, license } = (await readManifest(join(folder, 'package.json'))) ?? {}
    const files = (await readdir(folder)).filter(file => /^(licen[cs]e|copying|notice)/i.test(file))
    const bodies = await Promise.all(files.map(file => readFile(join(folder, file), 'utf8')))
    const name = slashed(relative(join(root, 'node_modules'), folder))
    return [`${name} ${version} (${license})`, ...bodies.map(body => body.trim())].join('\n\n')
  })
  return `${(await Promise.all(texts)).join(`\n\n${'-'.repeat(72)}\n\n`)}\n`
}

function slashed(path: string): string {
  return path.replaceAll(sep, '/')
}
