// The manual page is the help, in the form that man reads. What reads it is asked whether it likes it.

import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { exitCodes } from '../../src/cli/exit-codes.ts'
import { programOf } from '../../src/cli/program.ts'
import { manualOf } from '../../tools/manual.ts'

const page = manualOf(await programOf(), '2026-01-31')
const source = fileURLToPath(new URL('../../src', import.meta.url))

/** A program that may be missing here. */
const isThere = (program: string): boolean => spawnSync(program, ['--version']).error === undefined

test('it has every command, option, exit code and variable, and each line is a request or text', async t => {
  const text = page.replaceAll('\\-', '-')
  const program = await programOf()
  for (const command of program.commands.flatMap(one => [one, ...one.commands])) {
    t.regex(text, new RegExp(`^\\.SS "postern (\\w+ )?${command.name()}\\b`, 'm'))
    for (const { long } of command.options) t.true(text.includes(String(long)), `${command.name()} ${long}`)
  }
  for (const { code, meaning } of exitCodes) t.true(text.replaceAll('\n', ' ').includes(`.B ${code} ${meaning}`))
  const code = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter(path => /^(cli|peer|config)\/.*\.ts$/.test(path))
    .map(path => readFileSync(`${source}/${path}`, 'utf8'))
  const read = new Set(
    code.flatMap(one => [...one.matchAll(/\benv\.([A-Z][A-Z_]+)/g)].map(([, name]) => name as string))
  )
  read.delete('HOME')
  t.true(read.size > 3)
  for (const name of read) t.true(text.includes(name), `${name} is read, and not told`)
  for (const line of page.split('\n'))
    t.regex(line, /^(?:\.(?:TH|SH|SS|TP|PP|B|I|RI|RS|RE|nf|fi|nh|ad)\b|[^.']|\\&|$)/, 'no line is a request by chance')
})

test('npm finds it: a single name, which is no list, it does not link', t => {
  const { man } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  t.deepEqual(man, ['dist/postern.1'])
})

test('groff renders it without a warning, in 80 columns', t => {
  if (!isThere('groff')) return t.pass('there is no groff here')
  const options = ['-man', '-Tutf8', '-ww', '-rLL=80n', '-P-cbou']
  const { stdout, stderr, status } = spawnSync('groff', options, { input: page, encoding: 'utf8' })
  t.is(status, 0)
  t.is(stderr, '')
  const wide = stdout.split('\n').filter(line => line.length > 80)
  t.deepEqual(wide, [])
  t.regex(stdout, /^EXIT STATUS$[\s\S]*^ {7}130 +interrupted/m)
  t.regex(stdout, /^ {9}postern send bob holiday\.mp4$/m, 'what is typed stands alone')
})

test('mandoc finds nothing to remark on', t => {
  if (!isThere('mandoc')) return t.pass('there is no mandoc here')
  t.is(execFileSync('mandoc', ['-T', 'lint'], { input: page, encoding: 'utf8' }), '')
})
