// What the gateway makes of a fault: the verdicts on the losses of the transfer's path, from the file of its traces.

import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Loss } from '../../../src/trace/record/record.ts'
import { readRecord } from '../../../src/trace/record/schema.ts'
import { monotonicMs } from './arrivals.ts'

/** The search after a loss is over by then, or as much is known as ever will be, in milliseconds. */
const SETTLE_MS = 8000
const LOOK_MS = 200

/**
 * Codes and sentences, oldest first, once no more will be learnt.
 * @param sinceMs of losses after this, in milliseconds since the epoch
 */
export async function verdictsIn(file: string, sinceMs = 0): Promise<string[]> {
  const endMs = monotonicMs() + SETTLE_MS
  for (;;) {
    const losses = (await lossesIn(file)).filter(({ atMs }) => atMs >= sinceMs)
    if (losses.every(({ settled }) => settled) || monotonicMs() > endMs)
      return losses.map(({ code, sentence }) => `${code}: ${sentence}`)
    await sleep(LOOK_MS)
  }
}

/** Of each record the last line counts. */
async function lossesIn(file: string): Promise<readonly Loss[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const records = text.split('\n').flatMap(line => readRecord(line) ?? [])
  const last = new Map(records.map(record => [record.spans[0]?.id, record]))
  return [...last.values()].flatMap(({ losses = [] }) => losses).sort((a, b) => a.atMs - b.atMs)
}
