// One direction of a relayed session, as its thread carries it: what comes is sent on at once, by reference, as long as its limits are not
// short, and waits in turn otherwise (limit.ts).

import type { Asker } from '../../shares/shares.ts'
import { type Bucket, costOf, Gate, Shaper } from '../limit.ts'
import type { Scheduler } from '../scheduler.ts'
import type { Block, Blocks } from './blocks.ts'
import type { Names } from './flows.ts'
import { type Inbox, type Memory, NAME_WORDS, type Outbox } from './raw.ts'
import type { Account } from './shared.ts'

/** What all directions of a thread share. */
export interface Ground {
  readonly scheduler: Scheduler
  readonly blocks: Blocks
  readonly inbox: Inbox
  /** Where each goes, by its number. */
  readonly targets: Names
}

export class Flow {
  /** The socket that it comes to, and the one that it goes out of. */
  socket: number
  exit: Outbox
  readonly #number: number
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
      number,
      account,
      buckets,
      holder,
      queueMs
    }: {
      readonly number: number
      readonly account: Account
      readonly buckets: readonly Bucket[]
      readonly holder: Asker
      readonly queueMs: number
    },
    { socket, exit }: Pick<Flow, 'socket' | 'exit'>
  ) {
    this.#number = number
    this.#ground = ground
    this.#gate = new Gate(buckets, account)
    this.#account = account
    this.#holder = holder
    this.#queueMs = queueMs
    this.socket = socket
    this.exit = exit
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
      this.#put(inbox.memory, offset, bytes, segment)
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

  #put(memory: Memory, offset: number, bytes: number, segment: number): void {
    this.exit.put(memory, offset, bytes, segment, this.#ground.targets.words, this.#number * NAME_WORDS)
  }

  #offer(offset: number, bytes: number, nowMs: number): void {
    const { inbox, blocks } = this.#ground
    if (this.#isFree(nowMs, 0)) {
      this.#gate.pass(bytes, 1, costOf(bytes))
      this.#put(inbox.memory, offset, bytes, bytes)
      return
    }
    this.#shaper ??= new Shaper<Block>({
      scheduler: this.#ground.scheduler,
      ...{ gate: this.#gate, holder: this.#holder, queueMs: this.#queueMs },
      send: block => {
        this.#put(block.memory, block.offset, block.length, block.length)
        blocks.giveBack(block)
      },
      lost: block => blocks.giveBack(block)
    })
    this.#shaper.offer(blocks.take(inbox.data, offset, bytes))
  }
}
