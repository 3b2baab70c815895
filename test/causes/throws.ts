// A strategy of an operator's own, with a mistake in it.

import type { Plugin } from '../../src/strategy/plugin.ts'

export default {
  name: 'mine',
  defaults: {},
  start: () => ({
    plan: () => {
      throw new Error('nobody has tried this line before')
    }
  })
} satisfies Plugin
