// `npm run test:operating`: what an operator has around a gateway, each with the real thing: options and examples, proxies, shells, what
// it is deployed with, and the doctor. CI runs it beside `npm test`, whose time it would take.
import everything from './ava.config.js'

export const operating = [
  'test/config/**/*.test.ts',
  'test/deploy/**/*.test.ts',
  'test/gateway/proxy/**/*.test.ts',
  'test/cli/{completion,doctor,exit-codes,manual}.test.ts',
  'test/lab/doctor.test.ts'
]

export default { ...everything, files: operating }
