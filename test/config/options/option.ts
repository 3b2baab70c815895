// One option of the configuration, and the test that is made of its row: what is seen of something real with the default, and
// what once the option is changed. A row reads no value back: what it sees is what a gateway does, or what a strategy plans.

import test, { type ExecutionContext } from 'ava'
import { Document } from 'yaml'
import { labTest } from '../../lab/lab-test.ts'

/** Options by their paths, such as `listen.udp.ports`; what is left out has its default. */
export type Options = Readonly<Record<string, unknown>>

export interface Row {
  /** What the option is changed to, as YAML has it. */
  readonly changed: unknown
  /** Other options, the same both times. */
  readonly beside?: Options
  /** Other options that have to change with it. */
  readonly together?: Options
  /** True: it takes a network of its own. */
  readonly laboratory?: boolean
  /** Opens something real with these options, and says what is seen of it. */
  readonly observe: (options: Options) => Promise<unknown>
  readonly outcomes: readonly [byDefault: unknown, changed: unknown]
}

/** By the path of the option; an option of a built-in strategy as `strategies.predict.window`. */
export type Rows = Readonly<Record<string, Row>>

/** The YAML file that has these options. */
export function yamlOf(options: Options): string {
  const all = Object.entries(options)
  const document = new Document({})
  for (const [path, value] of all) document.setIn(path.split('.'), value)
  return all.length > 0 ? String(document) : ''
}

/** A test for each option, one after the other. */
export function optionTests(rows: Rows): void {
  for (const [path, row] of Object.entries(rows)) {
    const { changed, outcomes } = row
    const title = `${path}: ${shown(outcomes[0])} by default, and ${shown(outcomes[1])} with ${shown(changed)}`
    if (row.laboratory) labTest(title, t => observed(t, path, row))
    else test.serial(title, t => observed(t, path, row))
  }
}

async function observed(t: ExecutionContext, path: string, row: Row): Promise<void> {
  const { changed, beside = {}, together = {}, observe, outcomes } = row
  t.deepEqual(await observe(beside), outcomes[0], 'with the default')
  t.deepEqual(await observe({ ...beside, ...together, [path]: changed }), outcomes[1], 'changed')
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
