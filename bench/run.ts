// `npm run bench -- NAME [options]` runs one benchmark; without a name it lists them.

import { readdirSync } from 'node:fs'

const [name, ...rest] = process.argv.slice(2)
const benchmarks = [
  'connect',
  'browsers',
  'handover',
  'direct',
  'relay',
  'doors',
  'small',
  'soak',
  'moves',
  'reloads',
  'leaks',
  'models',
  'trials',
  'tracing',
  'collector',
  'sessions',
  'pages',
  'call',
  'call-memory',
  'relayed-call',
  'hostile'
].filter(known => readdirSync(import.meta.dirname).includes(`${known}.ts`))
if (name && benchmarks.includes(name)) {
  process.argv = [process.argv[0] ?? 'node', `${name}.ts`, ...rest]
  await import(`./${name}.ts`)
} else {
  console.log(`npm run bench -- NAME, where NAME is one of ${benchmarks.join(', ')}`)
  process.exitCode = name ? 1 : 0
}
