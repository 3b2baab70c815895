// The three roles of the registration server, one interface each, so that they can run on several hosts later: who
// watches mappings, who judges them, who commands the peers. Sessions know these interfaces only.

import type { FilteringTest, Profile, Sample } from '../../nat/profile.ts'
import type { Address } from '../../wire/shapes.ts'

/** Judges a NAT by the mappings of one socket. */
export interface Profiler {
  profile(
    samples: readonly Sample[],
    own: { port: number; addresses: readonly Address[] },
    test: FilteringTest | undefined
  ): Profile
}
