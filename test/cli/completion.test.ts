// What shells complete, asked of the shells themselves. zsh and fish may be missing; bash is everywhere.

import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { Command, Option } from 'commander'
import { bashCompletion } from '../../src/cli/completion/bash.ts'
import { fishCompletion } from '../../src/cli/completion/fish.ts'
import { type Branch, branchesOf, treeOf } from '../../src/cli/completion/tree.ts'
import { zshCompletion } from '../../src/cli/completion/zsh.ts'
import { programOf } from '../../src/cli/program.ts'
import { World } from './world.ts'

const execute = promisify(execFile)

/** Answers with what a shell offers behind these words; the last one is begun. */
type Ask = (words: readonly string[]) => Promise<string[]>

/** A folder with the script in it, a file and a folder with a space in their names. */
async function withScript(name: string, script: string, use: (file: string, cwd: string) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'postern-completion-'))
  try {
    const [file, cwd] = [join(folder, name), join(folder, 'here')]
    await writeFile(file, script)
    await mkdir(join(cwd, 'a folder'), { recursive: true })
    await writeFile(join(cwd, 'a file.yaml'), '')
    await use(file, cwd)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const lines = (text: string): string[] => text.split('\n').filter(line => line !== '')

/** bash cuts words at = and : besides spaces, and this does too. */
const askBash =
  (script: string, cwd: string): Ask =>
  async words => {
    const cut = ['postern', ...words].flatMap(word => (word === '' ? [''] : word.split(/(?<=[=:])|(?=[=:])/)))
    const ending = /[=:]$/.test(words.at(-1) ?? '') ? [...cut, ''] : cut
    const asking = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _postern
      printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout } = await execute('bash', ['--norc', '-c', asking, 'bash', script, ...ending], { cwd })
    return lines(stdout)
  }

const askFish =
  (script: string, cwd: string): Ask =>
  async words => {
    const asking = 'source $argv[1]; complete -C "postern $argv[2]"'
    const env = { ...process.env, HOME: cwd, XDG_CONFIG_HOME: cwd, XDG_DATA_HOME: cwd }
    const { stdout } = await execute('fish', ['--no-config', '-c', asking, script, words.join(' ')], { cwd, env })
    return lines(stdout).map(line => line.split('\t')[0] ?? '')
  }

/** An interactive zsh at a terminal of its own, in which Tab is pressed; what it would add is written down. */
const capture = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT= RPROMPT=; unsetopt zle_bracketed_paste 2> /dev/null; cd \${(q)3}
autoload -Uz compinit; compinit -D -u; source \${(q)1}
compadd() {
  local -a hits
  if [[ \\\${@[1,(i)(-|--)]} != *-(O|A|D)\\ * ]]; then
    builtin compadd -A hits \\"\\$@\\"
    (( \\$#hits )) && print -rl -- \\$hits >> \${(q)4}
  fi
  builtin compadd \\"\\$@\\"
}
finish() { zle complete-word; print done > \${(q)4}.done; }
zle -N finish; bindkey '^I' finish; print read\\y"
zpty -r -m shell line '*ready*'
zpty -w -n shell "$2"$'\\t'
repeat 200; do [[ -e $4.done ]] && break; sleep 0.05; done
zpty -d shell
`
const askZsh =
  (script: string, cwd: string): Ask =>
  async words => {
    const heard = join(cwd, '..', `heard-${Math.random()}`)
    await writeFile(heard, '')
    const typed = `postern ${words.join(' ')}`
    await execute('zsh', ['-f', '-c', capture, 'zsh', script, typed, cwd, heard], { cwd, timeout: 30_000 })
    return [...new Set(lines((await execute('cat', [heard])).stdout))]
  }

interface Shell {
  readonly script: (tree: Branch) => string
  readonly ask: (script: string, cwd: string) => Ask
}

const shells: Readonly<Record<string, Shell>> = {
  bash: { script: bashCompletion, ask: askBash },
  zsh: { script: zshCompletion, ask: askZsh },
  fish: { script: fishCompletion, ask: askFish }
}

const isThere = async (shell: string): Promise<boolean> =>
  await execute(shell, ['-c', 'exit 0']).then(
    () => true,
    () => process.env.POSTERN_LAB === 'required'
  )

/** What each shell has to offer, whatever it is. `none`: that must not be there. */
const asked: readonly { words: readonly string[]; some: readonly string[]; none?: readonly string[] }[] = [
  { words: [''], some: ['gateway', 'peer', 'send', 'config', 'help', 'completion'], none: ['validate', 'bash'] },
  { words: ['p'], some: ['peer', 'pipe', 'ping'], none: ['gateway'] },
  { words: ['config', ''], some: ['validate', 'show', 'schema'], none: ['peer'] },
  { words: ['names', 'forget', '--f'], some: ['--fingerprint'], none: ['--gateway'] },
  { words: ['completion', ''], some: ['bash', 'zsh', 'fish'] },
  { words: ['help', 'n'], some: ['nat', 'names'], none: ['peer'] },
  { words: ['camera', 'pi', '--codec', ''], some: ['h264', 'vp8'], none: ['peer'] },
  { words: ['peer', 'bob', '--re'], some: ['--receive', '--resume', '--relay-only'], none: ['--name'] },
  { words: ['send', 'bob', 'a'], some: ['a file.yaml'] },
  { words: ['send', '--gateway', 'http://127.0.0.1:8080', 'bob', 'a'], some: ['a file.yaml'] },
  { words: ['send', 'a'], some: [], none: ['a file.yaml'] },
  { words: ['gateway', '--config', 'a'], some: ['a file.yaml'] },
  { words: ['peer', 'bob', '--receive', 'a'], some: ['a folder'], none: ['a file.yaml'] }
]

for (const [shell, { script, ask }] of Object.entries(shells))
  test.serial(`${shell} completes commands, options, choices, files and folders, each where it belongs`, async t => {
    if (!(await isThere(shell))) return t.pass(`there is no ${shell} here`)
    await withScript(`completion.${shell}`, script(treeOf(await programOf())), async (file, cwd) => {
      const answers = await Promise.all(asked.map(({ words }) => ask(file, cwd)(words)))
      for (const [index, { words, some, none = [] }] of asked.entries()) {
        // A shell may write what it escapes, and ends folders with a slash.
        const offered = answers[index]?.map(word => word.replaceAll('\\', '').replace(/\/$/, '')) ?? []
        const said = `postern ${words.join(' ')}: ${offered.join(', ')}`
        for (const word of some) t.true(offered.includes(word), `${said} lacks ${word}`)
        for (const word of none) t.false(offered.includes(word), `${said} has ${word}`)
      }
    })
  })

test.serial('bash takes what stands behind = for a value', async t => {
  await withScript('completion.bash', bashCompletion(treeOf(await programOf())), async (file, cwd) => {
    const ask = askBash(file, cwd)
    t.deepEqual(await ask(['camera', 'pi', '--codec=']), ['h264', 'vp8'])
    t.deepEqual(await ask(['camera', 'pi', '--codec=v']), ['vp8'])
    t.deepEqual((await ask(['send', '--name=alice', 'bob', 'a f'])).toSorted(), ['a file.yaml', 'a folder'])
  })
})

test('nothing is listed twice: every visible command and option of the tree is in each script', async t => {
  const tree = treeOf(await programOf())
  const [bash, zsh, fish] = [bashCompletion(tree), zshCompletion(tree), fishCompletion(tree)]
  for (const { path, flags } of branchesOf(tree)) {
    t.true(bash.includes(path.map(word => ` ${word}`).join('')))
    t.true(zsh.includes(`\n${['_postern', ...path].join('_')}() {`))
    t.true(fish.includes(`__postern_at "${path.join(' ')}"`), path.join(' '))
    for (const name of flags.flatMap(({ names }) => names)) {
      t.true(bash.includes(name) && zsh.includes(name), name)
      t.true(fish.includes(name.startsWith('--') ? ` -l ${name.slice(2)} ` : ` -s ${name.slice(1)} `), name)
    }
  }
})

test('an option that has a value here and none there cannot be completed, and is told', t => {
  const program = new Command('x').addCommand(new Command('one').addOption(new Option('--pipe <x>', 'y')))
  program.addCommand(new Command('two').addOption(new Option('--pipe', 'y')))
  t.throws(() => treeOf(program), { message: /--pipe takes a value for one command, and none for another/ })
})

test.serial('the command prints the script, and says which shells there are', async t => {
  await using world = await World.open()
  const printed = await world.run(['completion', 'fish'])
  t.is(printed.code, 0, printed.stderr)
  t.is(`${printed.lines.join('\n')}\n`, fishCompletion(treeOf(await programOf())))
  const { code, stderr } = await world.run(['completion', 'tcsh'])
  t.is(code, 1)
  t.regex(stderr, /Allowed choices are bash, zsh, fish/)
})
