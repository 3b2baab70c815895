import { createHmac, hkdfSync } from 'node:crypto'
import test from 'ava'
import { Emitter } from '../../../src/peer/connection/emitter.ts'
import { ResumeKey } from '../../../src/peer/connection/resume-key.ts'

function agreed(): { caller: ResumeKey; callee: ResumeKey } {
  const [caller, callee] = [new ResumeKey('caller', 'a session'), new ResumeKey('callee', 'a session')]
  caller.agree(callee.nonce)
  callee.agree(caller.nonce)
  return { caller, callee }
}

test('each side proves itself on one path, and nobody by what the other has said', async t => {
  const { caller, callee } = agreed()
  const mac = await caller.proof('path')
  t.true(await callee.proves(mac, 'path'))
  t.false(await callee.proves(mac, 'another path'))
  t.false(await caller.proves(mac, 'path'))
  t.false(await callee.proves('no base64!', 'path'))
  t.false(await new ResumeKey('callee', 'a session').proves(mac, 'path'))
})

test('the proof is HMAC with a key of HKDF, as earlier peers made it', async t => {
  const { caller, callee } = agreed()
  const key = Buffer.from(hkdfSync('sha256', caller.nonce + callee.nonce, 'a session', 'postern resume', 32))
  t.is(await callee.proof('path'), createHmac('sha256', key).update('callee path').digest('base64'))
})

test('events come in order to whoever listens at that moment', t => {
  const emitter = new Emitter<{ said: [string, number] }>()
  const heard: string[] = []
  const always = (text: string, count: number) => heard.push(`always ${text} ${count}`)
  emitter.on('said', always).once('said', text => heard.push(`once ${text}`))
  t.true(emitter.emit('said', 'one', 1))
  emitter.emit('said', 'two', 2)
  emitter.off('said', always)
  t.false(emitter.emit('said', 'three', 3))
  t.deepEqual(heard, ['always one 1', 'once one', 'always two 2'])
})
