// The bar of controls.

import type { ComponentChildren } from 'preact'
import type { Call } from '../model/call.ts'
import { strings } from '../words/strings.ts'
import { Icon, type Shape } from './icon.tsx'
import type { Open } from './panel.tsx'

const words = strings.controls

export function Controls({ call, show, open }: { call: Call; show: (panel: Open) => void; open: Open }) {
  const { devices, chat } = call
  const hears = devices.hears.value
  const sees = devices.camera.value !== undefined
  const shares = devices.screen.value !== undefined
  const unread = chat.unread.value
  return (
    <nav class="controls" aria-label={words.bar}>
      <Control
        of={hears ? 'microphone' : 'microphone-off'}
        text={hears ? words.mute : words.unmute}
        isOff={!hears}
        press={() => void devices.setMicrophone(!hears)}
      />
      <Control
        of={sees ? 'camera' : 'camera-off'}
        text={sees ? words.cameraOff : words.cameraOn}
        isOff={!sees}
        press={() => void devices.setCamera(!sees)}
      />
      {devices.canFlip.value && <Control of="flip" text={words.flip} press={() => void devices.flip()} />}
      {'getDisplayMedia' in navigator.mediaDevices && (
        <Control
          of={shares ? 'screen-off' : 'screen'}
          text={shares ? words.unshare : words.share}
          isOn={shares}
          press={() => (shares ? devices.unshare() : void devices.share())}
        />
      )}
      <Control
        of="chat"
        text={unread > 0 ? `${words.chat}, ${words.unread(unread)}` : words.chat}
        isOn={open === 'chat'}
        press={() => show('chat')}
      >
        {unread > 0 && <span class="count">{unread}</span>}
      </Control>
      <Control of="settings" text={words.settings} isOn={open === 'settings'} press={() => show('settings')} />
      <Control of="leave" text={words.leave} isLeave press={() => call.leave()} />
    </nav>
  )
}

interface ControlProps {
  readonly of: Shape
  readonly text: string
  readonly press: () => void
  readonly isOff?: boolean
  readonly isOn?: boolean
  readonly isLeave?: boolean
  readonly children?: ComponentChildren
}

function Control({ of, text, press, isOff, isOn, isLeave, children }: ControlProps) {
  const classes = ['round', isOff && 'off', isOn && 'on', isLeave && 'leave']
  return (
    <button
      type="button"
      class={classes.filter(Boolean).join(' ')}
      aria-label={text}
      title={text}
      aria-pressed={isOn}
      onClick={press}
    >
      <Icon of={of} />
      {children}
    </button>
  )
}
