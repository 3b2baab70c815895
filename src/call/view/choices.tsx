// Which devices are used, and how.

import type { Devices } from '../model/devices.ts'
import { choose, settings } from '../model/settings.ts'
import { strings } from '../words/strings.ts'

const kinds = { camera: 'videoinput', microphone: 'audioinput', speaker: 'audiooutput' } as const
type Kind = keyof typeof kinds

export function Choices({ devices }: { devices: Devices }) {
  const { noise, echo } = settings.value
  return (
    <div class="choices">
      <Choice kind="camera" devices={devices} use={id => void devices.use('camera', id)} />
      <Choice kind="microphone" devices={devices} use={id => void devices.use('microphone', id)} />
      {'setSinkId' in HTMLMediaElement.prototype && (
        <Choice kind="speaker" devices={devices} use={speaker => choose({ speaker })} />
      )}
      <Switch text={strings.settings.noise} isOn={noise} turn={isOn => void devices.hearAs({ noise: isOn })} />
      <Switch text={strings.settings.echo} isOn={echo} turn={isOn => void devices.hearAs({ echo: isOn })} />
    </div>
  )
}

function Choice({ kind, devices, use }: { kind: Kind; devices: Devices; use: (id: string) => void }) {
  // The system's own choice is an entry of its own in some browsers. For a speaker there is one here in all.
  const list = devices.list.value.filter(
    ({ kind: has, deviceId }) =>
      has === kinds[kind] && deviceId !== '' && (kind !== 'speaker' || deviceId !== 'default')
  )
  const word = strings.settings[kind]
  const inUse = kind === 'speaker' ? settings.value.speaker : devices[kind].value?.getSettings().deviceId
  return (
    <label class="field">
      <span>{word}</span>
      <select disabled={list.length === 0} value={inUse} onChange={({ currentTarget }) => use(currentTarget.value)}>
        {list.length === 0 && <option>{strings.settings.none}</option>}
        {list.length > 0 && kind === 'speaker' && <option value="">{strings.settings.standard}</option>}
        {list.map(({ deviceId, label }, at) => (
          <option key={deviceId} value={deviceId} selected={deviceId === inUse}>
            {label || strings.settings.unnamed(word, at + 1)}
          </option>
        ))}
      </select>
    </label>
  )
}

export interface SwitchProps {
  readonly text: string
  readonly hint?: string
  readonly isOn: boolean
  readonly turn: (isOn: boolean) => void
}

export const Switch = ({ text, hint, isOn, turn }: SwitchProps) => (
  <label class="switch">
    <input type="checkbox" checked={isOn} onChange={({ currentTarget }) => turn(currentTarget.checked)} />
    <span class="knob" aria-hidden="true" />
    <span>
      {text}
      {hint && <small>{hint}</small>}
    </span>
  </label>
)
