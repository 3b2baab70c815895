// One direction of a relayed session, as its thread carries it: what comes is sent on at once, by reference, as long as its limits are not
// short, and waits in turn otherwise (limit.ts).

import type { Asker } from '../../shares/shares.ts'
import { type Bucket, costOf, Gate, Shaper } from '../limit.ts'
import type { Scheduler } from '../scheduler.ts'
import type { Block, Blocks } from './blocks.ts'
import type { Inbox, Outbox } from './raw.ts'
import type { Account } from './shared.ts'

/** What all directions of a thread share. */
export interface Ground {
  readonly scheduler: Scheduler
  readonly blocks: Blocks
  readonly inbox: Inbox
}

export class Flow {
  /** Where it comes from, and out of which socket it goes, to whom. */
  socket = 0
  source: Uint32Array
  exit: Outbox
  target: Uint32Array
  readonly #ground: Ground
  readonly #gate: Gate
  readonly #account: Account
  readonly #holder: Asker
  readonly #queueMs: number
  /** Made when something has to wait: most never do. */
  #shaper: Shaper<Block> | undefined

  constructor(
    ground: Ground,
    {
      account,
      buckets,
      holder,
      queueMs
    }: {
      readonly account: Account
      readonly buckets: readonly Bucket[]
      readonly holder: Asker
      readonly queueMs: number
    },
    way: Pick<Flow, 'socket' | 'source' | 'exit' | 'target'>
  ) {
    this.#ground = ground
    this.#gate = new Gate(buckets, account)
    this.#account = account
    this.#holder = holder
    this.#queueMs = queueMs
    this.socket = way.socket
    this.source = way.source
    this.exit = way.exit
    this.target = way.target
  }

  /** Takes a run that has come from its source. */
  take(run: number, nowMs: number): void {
    const { inbox } = this.#ground
    const bytes = inbox.bytes(run)
    const segment = inbox.segment(run)
    const offset = inbox.offset(run)
    this.#account.heard(nowMs)
    const whole = segment > 0 ? Math.ceil(bytes / segment) - 1 : 0
    const last = costOf(bytes - whole * segment)
    const before = whole * costOf(segment)
    if (this.#isFree(nowMs, before)) {
      this.#gate.pass(bytes, whole + 1, before + last)
      this.exit.put(inbox.memory, offset, bytes, segment, this.target, 0)
      return
    }
    for (let from = 0; from < bytes || from === 0; from += segment || 1)
      this.#offer(offset + from, Math.min(segment, bytes - from), nowMs)
  }

  /** Takes one datagram of a run. */
  takeOne(offset: number, bytes: number, nowMs: number): void {
    this.#account.heard(nowMs)
    this.#offer(offset, bytes, nowMs)
  }

  /** What waits is lost, and counted. */
  close(): void {
    this.#shaper?.close()
  }

  /** @param before bytes that pass before the last datagram, which may leave a debt */
  #isFree(nowMs: number, before: number): boolean {
    return (this.#shaper?.isEmpty ?? true) && this.#gate.firstShort(nowMs, false, before) === undefined
  }

  #offer(offset: number, bytes: number, nowMs: number): void {
    const { inbox, blocks } = this.#ground
    if (this.#isFree(nowMs, 0)) {
      this.#gate.pass(bytes, 1, costOf(bytes))
      this.exit.put(inbox.memory, offset, bytes, bytes, this.target, 0)
      return
    }
    this.#shaper ??= new Shaper<Block>({
      scheduler: this.#ground.scheduler,
      ...{ gate: this.#gate, holder: this.#holder, queueMs: this.#queueMs },
      send: block => {
        this.exit.put(block.memory, block.offset, block.length, block.length, this.target, 0)
        blocks.giveBack(block)
      },
      lost: block => blocks.giveBack(block)
    })
    this.#shaper.offer(blocks.take(inbox.data, offset, bytes))
  }
}
