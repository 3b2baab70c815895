// The configuration: whatever the file holds, it is a configuration, or `bad-config` with mistakes that can be shown. The options of
// built-in strategies are read as well; a path or a package is not, since reading it would run it.

import { deepEqual, equal, ok } from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Config, parseConfig } from '../../../src/config/config.ts'
import { showConfig } from '../../../src/config/show.ts'
import { PosternError } from '../../../src/errors.ts'
import { builtIns } from '../../../src/plugins/built-in.ts'
import { loadPlugins } from '../../../src/plugins/load.ts'
import { mutatedText } from '../mutate.ts'
import type { Odd } from '../odd.ts'
import type { Random } from '../random.ts'
import { isPrintable, type Subject, type Target } from '../target.ts'

const folder = join(import.meta.dirname, '../../../config')

const read = (name: string) => readFileSync(join(folder, name), 'utf8')

/** With their comments for one half, and without them for the other: otherwise most changes would be made to comments. */
const specimens = ['postern.yaml', ...readdirSync(join(folder, 'examples')).map(name => join('examples', name))]
  .map(read)
  .flatMap(text => [text, text.replace(/ *#.*$/gm, '').replace(/\n+/g, '\n')])

const strategies = (text: string) => /^strategies:(?:\n[ -].*)*/m.exec(text)?.[0] ?? ''

/** A list in a list in a list …, in the place of a word. */
function nested(random: Random, text: string): string {
  const depth = random.size(6000)
  const words = [...text.matchAll(/[\w.]+/g)]
  const { index: at = 0, 0: word = '' } = random.pick(words) ?? { index: 0, 0: '' }
  const open = random.pick(['[', '{a: ', '- ', '? '])
  const close = { '[': ']', '{a: ': '}', '- ': '', '? ': '' }[open] ?? ''
  return text.slice(0, at) + open.repeat(depth) + word + close.repeat(depth) + text.slice(at + word.length)
}

interface File {
  readonly text: string
  readonly env: Readonly<Record<string, string>>
}

const known = Object.getOwnPropertyNames(Object.prototype)

async function check({ text, env }: File): Promise<void> {
  try {
    const config = parseConfig(text, '/etc/postern.yaml', env)
    for (const part of Object.values(config)) isPlain(part)
    showConfig(config)
    await loadOwn(config)
  } catch (error) {
    ok(error instanceof PosternError && error.code === 'bad-config', error as Error)
    for (const line of error.message.split('\n')) {
      ok(isPrintable(line), 'a mistake is not printable')
      ok(/^\/etc\/postern\.yaml:\d+:\d+: ./.test(line), 'a mistake has no place')
    }
  } finally {
    deepEqual(Object.getOwnPropertyNames(Object.prototype), known, 'the prototype of all objects has changed')
  }
}

function isPlain(part: unknown): void {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return
  equal(Object.getPrototypeOf(part), Object.prototype, 'a part has another prototype')
}

async function loadOwn(config: Config): Promise<void> {
  const own = config.strategies.filter(({ use }) => use.kind === 'name' && Object.hasOwn(builtIns, use.name))
  await loadPlugins(own, builtIns)
}

export const yaml: Target = {
  name: 'yaml',
  about: 'configurations: valid, or mistakes with their places',
  open: (odd: Odd): Subject<File> => ({
    input(random: Random) {
      const specimen = random.pick(specimens) ?? ''
      const text = mutatedText(random, random.chance(0.3) ? strategies(specimen) : specimen, odd)
      return {
        text: random.chance(0.03) ? nested(random, text) : text,
        env: { POSTERN_TOKEN: odd.text(random), POSTERN_STATE: odd.text(random) }
      }
    },
    check
  })
}
