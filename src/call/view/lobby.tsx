// Before the call: a look at oneself, the choice of devices, a name, and whether one's address may be shown.

import { type Signal, useComputed, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Call } from '../model/call.ts'
import type { Devices } from '../model/devices.ts'
import { levelOf, mayPlay } from '../model/level.ts'
import { NAME_CHARACTERS } from '../model/limits.ts'
import { choose, settings } from '../model/settings.ts'
import { strings } from '../words/strings.ts'
import { Choices, Switch } from './choices.tsx'
import { Icon } from './icon.tsx'
import { Picture } from './picture.tsx'

const words = strings.lobby

export function Lobby({ call, isEntering }: { call: Call; isEntering: boolean }) {
  const { devices } = call
  const isAsked = useSignal(false)
  const isOpen = devices.camera.value !== undefined || devices.microphone.value !== undefined
  // What is to be done first is chosen once the question for devices has its answer, whichever it is.
  const isAnswered = isOpen || (isAsked.value && !devices.isAsking.value)
  const enter = (event: Event) => {
    event.preventDefault()
    void mayPlay()
    void call.enter()
  }
  return (
    <main class="lobby">
      <section class="check" aria-label={words.preview}>
        <Preview devices={devices} isAsked={isAsked} />
        <Level devices={devices} />
      </section>
      <form class="card" onSubmit={enter}>
        <h1>{words.heading(call.room)}</h1>
        <p class="soft">{words.direct}</p>
        <label class="field">
          <span>{words.name}</span>
          <input
            name="name"
            autocomplete="nickname"
            maxLength={NAME_CHARACTERS}
            placeholder={words.namePlaceholder}
            value={settings.value.name}
            onInput={({ currentTarget }) => choose({ name: currentTarget.value })}
          />
          <small>{words.nameHint}</small>
        </label>
        <Switch
          text={words.relayOnly}
          hint={words.relayOnlyHint}
          isOn={settings.value.relayOnly}
          turn={relayOnly => choose({ relayOnly })}
        />
        <details>
          <summary>{words.devices}</summary>
          <Choices devices={devices} />
        </details>
        <button type="submit" class={isAnswered ? 'first' : ''} disabled={isEntering}>
          {isEntering ? strings.entering : words.join}
        </button>
        {!isOpen && <p class="soft small">{words.unseen}</p>}
        <p class="soft small">{words.people}</p>
      </form>
    </main>
  )
}

/** One's own picture, or the question for it, or why there is none. */
function Preview({ devices, isAsked }: { devices: Devices; isAsked: Signal<boolean> }) {
  const stream = useComputed(() => (devices.camera.value ? new MediaStream([devices.camera.value]) : undefined))
  const ask = (camera: boolean, microphone: boolean) => {
    isAsked.value = true
    void mayPlay()
    if (camera || microphone) void devices.open({ camera, microphone })
  }
  const problem = devices.problem.value
  const isOpen = devices.camera.value !== undefined || devices.microphone.value !== undefined
  return (
    <div class="preview">
      <Picture stream={stream.value} label={words.preview} isMuted isMirrored={settings.value.mirror} />
      {!devices.camera.value && (
        <div class="over-picture">
          {devices.isAsking.value ? (
            <p>{words.asking}</p>
          ) : problem ? (
            <div role="alert">
              <h2>{strings.devices[problem].title}</h2>
              <p>
                {strings.devices[problem].text} {strings.devices.without}
              </p>
              <button type="button" onClick={() => ask(true, true)}>
                {strings.devices.again}
              </button>
            </div>
          ) : isOpen || isAsked.value ? (
            <>
              <h2>{words.cameraOff}</h2>
              <p>{words.noPicture}</p>
            </>
          ) : (
            <Question ask={ask} />
          )}
        </div>
      )}
      {(isOpen || isAsked.value) && <Toggles devices={devices} />}
    </div>
  )
}

const Question = ({ ask }: { ask: (camera: boolean, microphone: boolean) => void }) => (
  <>
    <p>{words.ask}</p>
    <div class="row">
      <button type="button" class="first" onClick={() => ask(true, true)}>
        {words.useBoth}
      </button>
      <button type="button" onClick={() => ask(false, true)}>
        {words.useMicrophone}
      </button>
      <button type="button" onClick={() => ask(false, false)}>
        {words.useNeither}
      </button>
    </div>
  </>
)

function Toggles({ devices }: { devices: Devices }) {
  const hears = devices.hears.value
  const sees = devices.camera.value !== undefined
  const { mute, unmute, cameraOff, cameraOn } = strings.controls
  return (
    <div class="toggles">
      <button
        type="button"
        class={`round ${hears ? '' : 'off'}`}
        aria-label={hears ? mute : unmute}
        title={hears ? mute : unmute}
        onClick={() => void devices.setMicrophone(!hears)}
      >
        <Icon of={hears ? 'microphone' : 'microphone-off'} />
      </button>
      <button
        type="button"
        class={`round ${sees ? '' : 'off'}`}
        aria-label={sees ? cameraOff : cameraOn}
        title={sees ? cameraOff : cameraOn}
        onClick={() => void devices.setCamera(!sees)}
      >
        <Icon of={sees ? 'camera' : 'camera-off'} />
      </button>
    </div>
  )
}

function Level({ devices }: { devices: Devices }) {
  const level = useSignal(0)
  const track = devices.microphone.value
  useEffect(() => {
    if (!track) return
    const heard = levelOf(track)
    const end = heard.level.subscribe(now => {
      level.value = now
    })
    return () => {
      end()
      heard.stop()
      level.value = 0
    }
  }, [track])
  if (!track) return null
  return <meter class="level" min={0} max={1} value={level.value} aria-label={words.level} />
}
