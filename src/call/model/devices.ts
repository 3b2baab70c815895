// Camera, microphone and screen of this side. What is sent to others is `picture` and `microphone`: whoever sends them follows these, and is
// told nothing of which device they come from. A camera that is off is let go, so that its light is off too; a microphone that is off
// goes on in silence, so that it is on again at once.

import { computed, type Signal, signal } from '@preact/signals'
import { type DeviceProblem, strings } from '../words/strings.ts'
import { tell } from './notices.ts'
import { choose, settings } from './settings.ts'

type Kind = 'camera' | 'microphone'
type Wanted = Readonly<Record<Kind, boolean>>

const kindOf = { camera: 'videoinput', microphone: 'audioinput' } as const

/** What is asked of a camera: what a call of four can use of it. */
const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } } as const
/** A screen is to be read, so it is sharp before it is smooth. */
const SCREEN = { frameRate: { ideal: 15, max: 30 } } as const

export class Devices {
  readonly camera = signal<MediaStreamTrack | undefined>(undefined)
  readonly microphone = signal<MediaStreamTrack | undefined>(undefined)
  readonly screen = signal<MediaStreamTrack | undefined>(undefined)
  readonly isMicrophoneOn = signal(true)
  /** What there is to choose from; without names before the person has let the page use any. */
  readonly list = signal<readonly MediaDeviceInfo[]>([])
  readonly problem = signal<DeviceProblem | undefined>(undefined)
  /** The browser asks the person now. */
  readonly isAsking = signal(false)
  readonly picture = computed(() => this.screen.value ?? this.camera.value)
  /** The others hear this side. */
  readonly hears = computed(() => this.isMicrophoneOn.value && this.microphone.value !== undefined)
  readonly canFlip = computed(
    () => this.list.value.filter(({ kind }) => kind === kindOf.camera).length > 1 && isHandheld && !this.screen.value
  )

  /** How often all was let go: what the browser gives later is let go as well. */
  #closed = 0

  constructor() {
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.#look())
  }

  /** Asks for what is wanted of the two. Where there is one alone, that one is taken. */
  async open(wanted: Wanted): Promise<void> {
    this.problem.value = undefined
    this.isAsking.value = true
    try {
      await this.#take(wanted)
    } catch (thrown) {
      const problem = problemOf(thrown)
      const alone = problem === 'missing' || problem === 'busy' ? await this.#takeEither(wanted) : false
      if (!alone) this.problem.value = problem
    } finally {
      this.isAsking.value = false
      await this.#look()
    }
  }

  /** Uses another device, and keeps that for the next call. What is sent goes on until the other one is there. */
  async use(kind: Kind, deviceId: string): Promise<void> {
    choose({ [kind]: deviceId })
    if (this[kind].peek()) await this.#again(kind)
  }

  /** Noise suppression and echo cancelling are the browser's, and a matter of how a microphone is opened. */
  async hearAs(how: { readonly noise?: boolean; readonly echo?: boolean }): Promise<void> {
    choose(how)
    if (this.microphone.peek()) await this.#again('microphone')
  }

  async setCamera(isOn: boolean): Promise<void> {
    if (isOn) return await this.#turnOn({ camera: true, microphone: false })
    this.#set('camera', undefined)
  }

  async setMicrophone(isOn: boolean): Promise<void> {
    this.isMicrophoneOn.value = isOn
    const track = this.microphone.peek()
    if (track) track.enabled = isOn
    else if (isOn) await this.#turnOn({ camera: false, microphone: true })
  }

  /** The other one of the two cameras of a phone: some open one at a time. */
  async flip(): Promise<void> {
    const facing = this.camera.peek()?.getSettings().facingMode
    this.#set('camera', undefined)
    await this.#take({ camera: true, microphone: false }, facing === 'environment' ? 'user' : 'environment').catch(() =>
      this.open({ camera: true, microphone: false })
    )
  }

  /** Shares what the person picks, until it is stopped here or by the browser. */
  async share(): Promise<void> {
    try {
      const stream = await this.#unlessClosed(navigator.mediaDevices.getDisplayMedia({ video: SCREEN, audio: false }))
      const [track] = stream?.getVideoTracks() ?? []
      if (!track) return
      track.addEventListener('ended', () => this.unshare(), { once: true })
      this.screen.value = track
    } catch (thrown) {
      const isDenied = problemOf(thrown) === 'system'
      tell(isDenied ? strings.devices.shareDenied : strings.devices.noShare)
    }
  }

  unshare(): void {
    this.screen.peek()?.stop()
    this.screen.value = undefined
  }

  close(): void {
    this.#closed++
    this.unshare()
    this.#set('camera', undefined)
    this.#set('microphone', undefined)
  }

  /** By a control, which has no place to say why it did nothing. */
  async #turnOn(wanted: Wanted): Promise<void> {
    await this.open(wanted)
    const problem = this.problem.peek()
    if (problem) tell(`${strings.devices[problem].title}. ${strings.devices[problem].text}`)
  }

  async #again(kind: Kind): Promise<void> {
    const wanted = { camera: kind === 'camera', microphone: kind === 'microphone' }
    try {
      await this.#take(wanted)
    } catch {
      // Some devices are opened once at a time.
      this.#set(kind, undefined)
      await this.#turnOn(wanted)
    }
  }

  async #takeEither({ camera, microphone }: Wanted): Promise<boolean> {
    if (!camera || !microphone) return false
    const taken = await Promise.allSettled([
      this.#take({ camera: false, microphone: true }),
      this.#take({ camera: true, microphone: false })
    ])
    return taken.some(({ status }) => status === 'fulfilled')
  }

  async #take(wanted: Wanted, facingMode?: string): Promise<void> {
    const ask = (how: 'exact' | 'ideal') => navigator.mediaDevices.getUserMedia(asked(wanted, how, facingMode))
    const opened = ask('exact').catch(thrown => {
      // One that is gone gives way to another.
      if ((thrown as DOMException).name !== 'OverconstrainedError') throw thrown
      return ask('ideal')
    })
    const stream = await this.#unlessClosed(opened)
    for (const track of stream?.getTracks() ?? []) this.#set(track.kind === 'video' ? 'camera' : 'microphone', track)
  }

  /** A person may leave while the browser still asks, or starts a camera. */
  async #unlessClosed(opened: Promise<MediaStream>): Promise<MediaStream | undefined> {
    const before = this.#closed
    const stream = await opened
    if (before === this.#closed) return stream
    for (const track of stream.getTracks()) track.stop()
    return undefined
  }

  #set(kind: Kind, track: MediaStreamTrack | undefined): void {
    const field: Signal<MediaStreamTrack | undefined> = this[kind]
    const before = field.peek()
    if (track && kind === 'microphone') track.enabled = this.isMicrophoneOn.peek()
    // This comes where the device is gone, and not where it is stopped here.
    track?.addEventListener('ended', () => void this.#unplugged(kind, track), { once: true })
    field.value = track
    before?.stop()
  }

  async #unplugged(kind: Kind, track: MediaStreamTrack): Promise<void> {
    if (this[kind].peek() !== track) return
    this.#set(kind, undefined)
    const wanted = { camera: kind === 'camera', microphone: kind === 'microphone' }
    await this.#take(wanted).catch(() => {})
    await this.#look()
    const next = this[kind].peek()
    tell(next ? strings.devices.switched[kind](next.label) : strings.devices.unplugged[kind])
  }

  async #look(): Promise<void> {
    this.list.value = await navigator.mediaDevices.enumerateDevices().catch(() => [])
  }
}

/** A device that was chosen is used before one that has more pixels. */
function asked({ camera, microphone }: Wanted, how: 'exact' | 'ideal', facingMode?: string): MediaStreamConstraints {
  const { noise: noiseSuppression, echo: echoCancellation, ...ids } = settings.peek()
  const chosen = (deviceId: string) => (deviceId ? { deviceId: { [how]: deviceId } } : {})
  return {
    video: camera && { ...CAMERA, ...(facingMode ? { facingMode } : chosen(ids.camera)) },
    audio: microphone && { noiseSuppression, echoCancellation, ...chosen(ids.microphone) }
  }
}

const isHandheld = matchMedia('(pointer: coarse)').matches

function problemOf(thrown: unknown): DeviceProblem {
  const { name, message } = thrown as DOMException
  if (name === 'NotAllowedError') return /system/i.test(message) ? 'system' : 'denied'
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'missing'
  return name === 'NotReadableError' || name === 'AbortError' ? 'busy' : 'other'
}
