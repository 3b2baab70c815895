// A gateway in a process of few file descriptors: says its port, and when its input ends what it has logged and counted.

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'
import { parseConfig } from '../../../src/config/config.ts'
import { openGateway } from '../../../src/gateway/gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'postern-starved-'))
const text = "listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0] } }"
const said: string[] = []
const log: Logger = Object.assign(pino({ level: 'silent' }), {
  warn: (_: object, words: string) => void said.push(words)
})
const gateway = await openGateway(parseConfig(text, join(folder, 'postern.yaml'), {}), { log })
console.log(gateway.http.port)
await once(process.stdin.resume(), 'end')
const { starved, open } = (await gateway.status()).http
console.log(JSON.stringify({ said, starved, open }))
await gateway.close()
rmSync(folder, { recursive: true })
