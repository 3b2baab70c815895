// The house keeps its order: ARCHITECTURE.md lists the rooms from top to bottom, and imports point downwards only. Whoever
// moves a file, or imports against the order, is told here.

import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'

const root = fileURLToPath(new URL('..', import.meta.url))

/** As the first block of ARCHITECTURE.md lists them: a line a room, its path first. */
const rooms = [...readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').matchAll(/^(src\/[\w./-]*|src) {2,}\S/gm)].map(
  ([, path = '']) => path.replace(/\/$/, '')
)

const roomOf = (file: string): string =>
  rooms
    .filter(room => file === room || file.startsWith(`${room}/`))
    .toSorted((a, b) => b.length - a.length)
    .at(0) ?? ''

/** Paths of all files below a folder. */
async function under(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true })
  const paths = entries.filter(entry => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  return paths.map(path => path.slice(root.length)).filter(path => !path.includes('node_modules'))
}

const files = await under('src')

/** What a file imports of ours, types and imports at run time included. */
async function importsOf(file: string): Promise<string[]> {
  const text = await readFile(join(root, file), 'utf8')
  return [...text.matchAll(/(?:\bfrom|\bimport\(|\bimport)\s*'(\.[^']*)'/g)].map(([, specifier = '']) =>
    normalize(join(dirname(file), specifier))
  )
}

const code = files.filter(file => /\.tsx?$/.test(file))
const imports = new Map(await Promise.all(code.map(async file => [file, await importsOf(file)] as const)))
const arrows = [...imports].flatMap(([from, to]) => to.map(target => ({ from, to: target })))

test('every file stands in a room that ARCHITECTURE.md lists, and every room there has files', t => {
  t.true(rooms.length > 20, `${rooms.length} rooms`)
  t.deepEqual(
    files.filter(file => roomOf(file) === ''),
    []
  )
  t.deepEqual(
    rooms.filter(room => !files.some(file => roomOf(file) === room)),
    []
  )
})

test('imports point downwards in the order of ARCHITECTURE.md', t => {
  const place = (file: string) => rooms.indexOf(roomOf(file))
  t.true(arrows.length > 500, `${arrows.length} imports`)
  t.deepEqual(
    arrows.filter(({ from, to }) => place(to) < place(from)),
    []
  )
})

test('the gateway and the peer know nothing of each other', t => {
  const side = (file: string) => /^src\/(gateway|peer)\//.exec(file)?.[1]
  t.deepEqual(
    arrows.filter(({ from, to }) => side(from) && side(to) && side(from) !== side(to)),
    []
  )
})

test('one file alone knows node-datachannel', async t => {
  const knowing = []
  for (const file of code) if (/'node-datachannel'/.test(await readFile(join(root, file), 'utf8'))) knowing.push(file)
  t.deepEqual(knowing, ['src/peer/transport/native.ts'])
})

test('no files import each other in a circle', t => {
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' > '))
    if (done.has(file) || way.includes(file)) return
    for (const next of imports.get(file) ?? []) visit(next, [...way, file])
    done.add(file)
  }
  for (const file of imports.keys()) visit(file, [])
  t.deepEqual(circles, [])
})

test('no folder has more than sixteen files directly in it, the commands aside', t => {
  const folders = Map.groupBy(files, file => dirname(file))
  const full = [...folders].filter(([folder, here]) => here.length > 16 && folder !== 'src/cli')
  t.deepEqual(
    full.map(([folder]) => folder),
    []
  )
})

test('files that comments and documents name are there', async t => {
  const known = (await Promise.all(['src', 'test', 'bench', 'examples', 'tools'].map(under))).flat()
  const own = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md']
  const documents = [...own, ...(await under('docs'))]
  const missing: string[] = []
  for (const place of [...documents, ...code]) {
    const text = await readFile(join(root, place), 'utf8')
    const said = place.endsWith('.md') ? text : text.replace(/^(?!\s*(\/\/|\*|\/\*)).*$/gm, '')
    for (const [mention] of said.matchAll(/(?<![\w./-])[\w/-]+\.ts\b/g))
      if (!known.some(name => name === mention || name.endsWith(`/${mention}`)))
        missing.push(`${place} names ${mention}`)
  }
  t.deepEqual(missing, [])
})

test('no document has what a merge has left', async t => {
  for (const place of ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', ...(await under('docs'))])
    t.notRegex(await readFile(join(root, place), 'utf8'), /^(<{7}|={7}|>{7})( |$)/m, place)
})

test('what npm starts without the tools of a developer begins in JavaScript, so that an old Node can say what is missing', async t => {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  for (const name of ['start', 'demo', 'lab']) t.regex(scripts[name], /^node [\w/-]+\.js( |$)/, name)
})

test('no command that is printed or documented receives into the current folder, or into the home folder', async t => {
  const places = [...(await under('src')), ...(await under('docs')), ...(await under('examples')), 'README.md']
  const careless: string[] = []
  for (const place of places)
    for (const [found] of (await readFile(join(root, place), 'utf8')).matchAll(
      /--receive (?:\.|~|\$HOME)\/?(?=[\s'"`])/g
    ))
      careless.push(`${place}: ${found}`)
  t.deepEqual(careless, [])
})
