// Asks a router of the tests for a port.

import type { ExecutionContext } from 'ava'
import { isRefusal, mapPort, type PortMapping, type Refusal, type Wish } from '../../../src/peer/router/router.ts'
import type { HandMadeRouter } from './hand-made-router.ts'

type How = Partial<Omit<Wish, 'router'>>

/** The mapping, or a failed test. */
export async function mapped(t: ExecutionContext, router: HandMadeRouter, how: How): Promise<PortMapping> {
  const outcome = await asked(router, how)
  if (isRefusal(outcome)) throw new Error(`${outcome.reason}: ${outcome.text}`)
  t.teardown(() => outcome.close())
  return outcome
}

/** The refusal, or a failed test. */
export async function refused(router: HandMadeRouter, how: How): Promise<Refusal> {
  const outcome = await asked(router, how)
  if (!isRefusal(outcome)) throw new Error(`granted by ${outcome.protocol}`)
  return outcome
}

const asked = ({ router }: HandMadeRouter, how: How): Promise<PortMapping | Refusal> =>
  mapPort({ localPort: 5000, router, signal: new AbortController().signal, ...how })
