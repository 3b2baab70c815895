// What a Node program has of a stream: a Duplex. What happens below is in core.ts.

import { Duplex } from 'node:stream'
import type { Channel } from '../../transport/transport.ts'
import { HIGH_WATER_BYTES, StreamCore, type StreamParts } from './core.ts'
import type { Turns } from './turns.ts'

export class Stream extends Duplex {
  /** What the connection knows of it. */
  readonly core: StreamCore

  constructor(parts: StreamParts) {
    super({ readableHighWaterMark: HIGH_WATER_BYTES, writableHighWaterMark: HIGH_WATER_BYTES })
    this.core = new StreamCore(parts, this)
  }

  get id(): number {
    return this.core.id
  }

  get label(): string {
    return this.core.label
  }

  /** How long it waits for another path when its own is lost, in milliseconds. */
  get resumeMs(): number {
    return this.core.resumeMs
  }

  /** Resolves once the far side serves the stream; rejects with its reason when it refuses. */
  get accepted(): Promise<void> {
    return this.core.accepted
  }

  /** Resolves once nothing of this stream is left to do. */
  get settled(): Promise<void> {
    return this.core.settled
  }

  /** Resolves once the far side has heard the end of what was written here, or nothing is left to do. */
  get flushed(): Promise<void> {
    return this.core.flushed
  }

  /** The far side serves the stream, or has served it. */
  get isAccepted(): boolean {
    return this.core.isAccepted
  }

  /** It waits for a path. */
  get isAdrift(): boolean {
    return this.core.isAdrift
  }

  /** Bytes that were sent and are not known to have arrived. */
  get flyingBytes(): number {
    return this.core.flyingBytes
  }

  /** See `StreamCore`. */
  attach(channel: Channel, turns: Turns, isOffered: boolean): void {
    this.core.attach(channel, turns, isOffered)
  }

  override _read(): void {
    this.core.read()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.core.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.core.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.core.destroyed(error)
    done(error)
  }
}
