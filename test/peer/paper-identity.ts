// An identity on paper, for tests in which nobody looks at who it is.

import type { Identity } from '../../src/peer/identity/identity.ts'

export const identity: Identity = {
  path: '',
  certificatePem: 'certificate',
  keyPem: '',
  fingerprint: '',
  sign: () => Buffer.from('signature')
}
