// Tests that need the laboratory. Where it cannot run they are skipped and say so in one line, unless
// POSTERN_LAB=required, which makes them fail instead.

import test, { type ExecutionContext } from 'ava'
import { labProblem } from './world.ts'

const problem = labProblem({ lines: true })
const skip = problem !== undefined && process.env.POSTERN_LAB !== 'required'
if (skip) console.log(`laboratory skipped: ${problem}`)

/** A test that runs in the laboratory, or is skipped. */
export const labTest = (title: string, run: (t: ExecutionContext) => Promise<void>): void =>
  skip ? test.skip(title, run) : test.serial(title, run)
