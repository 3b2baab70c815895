// Tests that need the laboratory. Where it cannot run they are skipped and say so in one line, unless
// POSTERN_LAB=required, which makes them fail instead.

import test, { type ExecutionContext } from 'ava'
import { labProblem } from './world.ts'

/** A test that runs in the laboratory, or is skipped. `portMapping`: where hosts ask for ports. */
export function labTest(
  title: string,
  run: (t: ExecutionContext) => Promise<void>,
  { portMapping = false }: { portMapping?: boolean } = {}
): void {
  if (mayRun(portMapping)) test.serial(title, run)
  else test.skip(title, run)
}

const asked = new Map<boolean, boolean>()

function mayRun(portMapping: boolean): boolean {
  const known = asked.get(portMapping)
  if (known !== undefined) return known
  const problem = labProblem({ lines: true, portMapping })
  const may = problem === undefined || process.env.POSTERN_LAB === 'required'
  if (!may) console.log(`laboratory skipped: ${problem}`)
  asked.set(portMapping, may)
  return may
}
