// How good the port models are: for each process, the probability that the first n candidates hold the NAT's next port,
// beside the best n ports somebody could try who knows the process. `node bench/models.ts [--seed N] [--trials N]`.

import { parseArgs } from 'node:util'
import { goal } from './means/figures.ts'
import { measure, processes, type Score, TRIES } from './means/processes.ts'

const { values } = parseArgs({ options: { seed: { type: 'string' }, trials: { type: 'string', default: '200' } } })
const seed = Number(values.seed ?? 1)
const trials = Number(values.trials)
const startMs = performance.now()

console.log(`first n candidates against the best n, ${trials} NATs each (seed ${seed})`)
console.log(['process'.padEnd(44), ...TRIES.map(n => `n ${n}`.padEnd(13))].join(' '))
const scores = processes.map((process, i) => {
  const score = measure(process, trials, seed + i)
  console.log([score.name.padEnd(44), ...score.rows.map(cell)].join(' '))
  return score
})
const made = scores.reduce((sum, score) => sum + score.made, 0)
console.log(`${(made / 1e6).toFixed(1)} million mappings, ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
for (const score of scores) goal(`${score.name}: share of the best, worst over n`, worst(score), { atLeast: 0.95 })
for (const score of scores) {
  if (overclaimed(score) > 0.05) console.log(`${score.name}: claims up to ${overclaimed(score).toFixed(2)} too much`)
}
// A model may be modest, but it must not promise. What it claims before it has seen enough is its prior's, and no prior
// fits every process.
goal('hit rate claimed beyond the true one, worst of all', Math.max(...scores.map(overclaimed)), { atMost: 0.15 })

function worst({ rows }: Score): number {
  return Math.min(...rows.map(({ model, best }) => model / best))
}

function overclaimed({ rows }: Score): number {
  return Math.max(...rows.map(({ model, said }) => said - model))
}

function cell({ model, best }: Score['rows'][number]): string {
  return `${share(model)}/${share(best)}`.padEnd(13)
}

function share(probability: number): string {
  return probability < 0.01 ? probability.toExponential(0) : probability.toFixed(2)
}
