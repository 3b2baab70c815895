// How loud a sound is, for the meter before the call, and for who speaks in it.

import { type Signal, signal } from '@preact/signals'

/** Looks within a second. */
const LOOKS = 10

/** Above this somebody speaks: the root mean square of samples from -1 to 1. */
const SPEAKS = 0.02

/** Somebody who has spoken is shown so for so long, in milliseconds. */
const LINGERS_MS = 600

let context: AudioContext | undefined

/** A browser lets a page hear and play only once the person has clicked somewhere: call this then. */
export async function mayPlay(): Promise<void> {
  context ??= new AudioContext()
  if (context.state === 'suspended') await context.resume().catch(() => {})
}

export interface Level {
  /** 0 to 1. */
  readonly level: Signal<number>
  readonly speaks: Signal<boolean>
  stop(): void
}

export function levelOf(track: MediaStreamTrack): Level {
  context ??= new AudioContext()
  const source = context.createMediaStreamSource(new MediaStream([track]))
  const analyser = new AnalyserNode(context, { fftSize: 1024 })
  source.connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  const level = signal(0)
  const speaks = signal(false)
  let spokeMs = Number.NEGATIVE_INFINITY
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples)
    const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)
    if (rms > SPEAKS) spokeMs = performance.now()
    // As loudness is heard, and coarse, so that it changes only where that is seen.
    level.value = rms < 0.001 ? 0 : Math.round(Math.min(1, Math.max(0, 1 + Math.log10(rms) / 2.5)) * 20) / 20
    speaks.value = performance.now() - spokeMs < LINGERS_MS
  }, 1000 / LOOKS)
  return {
    level,
    speaks,
    stop() {
      clearInterval(timer)
      source.disconnect()
    }
  }
}
