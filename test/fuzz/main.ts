// A fuzzer of postern's own: whatever reads what strangers, peers, routers, gateways, files or operators wrote is fed with what was
// valid a moment before. `npm run fuzz -- --help` says how. What it finds becomes a test beside the others; it is none itself.

import { parseArgs } from 'node:util'
import { type Fault, type Result, run, shown, shownInput } from './run.ts'
import type { Target } from './target.ts'
import { targets } from './targets.ts'
import { watch } from './watch.ts'

const HELP = `npm run fuzz -- [--minutes N] [--operations N] [--seed S] [--only TARGET,…] [--at N]

  --minutes N     for all targets together; 10 if left out
  --operations N  the most operations of one target; as many as the time allows if left out
  --seed S        the same seed makes the same inputs; drawn if left out
  --only TARGET   these targets alone, separated by commas
  --at N          begin with this operation; if one alone shows nothing, those before it have a part in it

Targets:
`

/** Columns of the table; the first one is words. */
const WIDTHS = [-12, 12, 12, 14, 14, 16, 8]
const HEADS = ['target', 'operations', 'per second', 'slowest ms', 'at', 'heap grew KiB', 'faults']

/** Faults of one target that are told one by one. Those that read alike are told once. */
const TOLD = 12

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    operations: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string' },
    at: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false }
  }
})

if (values.help) {
  console.log(HELP + targets.map(({ name, about }) => `  ${name.padEnd(12)}  ${about}`).join('\n'))
  process.exit(0)
}

const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : numberOf('seed')
const minutes = numberOf('minutes')
const chosen = chosenTargets()
console.log(`seed ${seed}, ${chosen.length} targets, ${minutes} minutes`)
const endMs = performance.now() + minutes * 60_000
const results: Result[] = []
for (const [index, target] of chosen.entries()) {
  // What one leaves of its time is the others'.
  const ms = Math.max(0, (endMs - performance.now()) / (chosen.length - index))
  const result = await watched(target, ms)
  results.push(result)
  console.log(lineOf(result))
}
tell(results)
process.exit(results.some(({ faults }) => faults > 0) ? 1 : 0)

async function watched(target: Target, ms: number): Promise<Result> {
  const { begins, end } = watch({ target: target.name, seed, ms })
  const operations = values.operations === undefined ? {} : { operations: numberOf('operations') }
  try {
    return await run(target, { seed, ms, ...operations, first: numberOf('at'), begins, tell: teller() })
  } finally {
    end()
  }
}

function teller(): (fault: Fault) => void {
  const told = new Set<string>()
  return ({ target, operation, what, input }) => {
    const alike = what.replace(/\d+|"[^"]*"/g, '').slice(0, 200)
    if (told.has(alike) || told.size >= TOLD) return
    told.add(alike)
    console.log(`\n${target}, operation ${operation}: ${shown(what)}`)
    if (input !== undefined) console.log(`  input: ${shownInput(input)}`)
    console.log(`  again: npm run fuzz -- --seed ${seed} --only ${target} --at ${operation} --operations 1\n`)
  }
}

function tell(all: readonly Result[]): void {
  const operations = all.reduce((sum, one) => sum + one.operations, 0)
  const faults = all.reduce((sum, one) => sum + one.faults, 0)
  console.log(`\n${cells(HEADS).join('')}\n${all.map(lineOf).join('\n')}`)
  console.log(`\n${operations.toLocaleString('en-US')} operations, ${faults} faults, seed ${seed}`)
}

function cells(texts: readonly string[]): string[] {
  return texts.map((text, at) => {
    const width = WIDTHS[at] ?? 0
    return width < 0 ? text.padEnd(-width) : text.padStart(width)
  })
}

function lineOf({ target, operations, ms, slowestMs, slowest, grownBytes, faults }: Result): string {
  const perSecond = Math.round(operations / Math.max(ms / 1000, 0.001))
  const figures = [operations, perSecond, Number(slowestMs.toFixed(1)), slowest, Math.round(grownBytes / 1024), faults]
  return cells([target, ...figures.map(figure => figure.toLocaleString('en-US'))]).join('')
}

function chosenTargets(): readonly Target[] {
  const names = values.only?.split(',') ?? targets.map(({ name }) => name)
  return names.map(name => {
    const found = targets.find(target => target.name === name)
    return found ?? give(`there is no target ${name}; expected ${targets.map(one => one.name).join(', ')}`)
  })
}

function numberOf(name: 'seed' | 'minutes' | 'operations' | 'at'): number {
  const value = Number(values[name])
  return Number.isFinite(value) && value >= 0 ? value : give(`--${name} is ${values[name]}; expected a number`)
}

function give(problem: string): never {
  console.error(problem)
  process.exit(1)
}
