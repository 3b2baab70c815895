import test from 'ava'
import { read } from '../../../src/trace/record/reader.ts'

test('a number is finite, alone and in a list: JSON can say 1e999', t => {
  const said = read({
    attributes: JSON.parse('{"postern.port":1e999,"postern.caller.first_ports":[1,1e999,"2",-1e999]}')
  })
  t.is(said.number('port'), undefined)
  t.deepEqual(said.numbers('caller.first_ports'), [1])
})
