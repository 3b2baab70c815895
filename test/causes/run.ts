// Lanes of causes as tests, a test for each cause. The lanes of a file run beside each other: most of the time they wait.

import test from 'ava'
import { labTest } from '../lab/lab-test.ts'
import { type Cause, type Lane, type Result, runLanes, wrong } from './cause.ts'

export function testLanes(...lanes: readonly Lane[]): void {
  const portMapping = lanes.some(({ sites }) => sites.some(site => site.portMapping))
  const causes = lanes.flatMap(lane => lane.causes)
  const results = new Map(causes.map(cause => [cause, Promise.withResolvers<Result>()]))
  let producing: Promise<unknown> | undefined
  for (const cause of causes)
    labTest(
      titleOf(cause),
      async t => {
        producing ??= runLanes(lanes, (cause, result) => results.get(cause)?.resolve(result))
        const result = await Promise.race([results.get(cause)?.promise, producing.then(() => undefined)])
        if (!result) return t.fail('it was not produced')
        const { verdict } = result.trace
        t.is(wrong(result), undefined, `${verdict.code}, ${verdict.side}: ${verdict.sentence}`)
      },
      { portMapping }
    )
  test.after.always(async () => await producing?.catch(() => {}))
}

const titleOf = ({ what, done, code, side }: Cause) =>
  `${what}: ${code}${side === 'none' ? '' : `, ${side === 'both' ? 'both sides' : `the ${side}`}`} (${done})`
