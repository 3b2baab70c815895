// One person of the call: picture, name, whether it is heard, and how the connection is.

import { useComputed } from '@preact/signals'
import { useRef } from 'preact/hooks'
import type { Devices } from '../model/devices.ts'
import type { Person } from '../model/person.ts'
import { settings } from '../model/settings.ts'
import { strings } from '../words/strings.ts'
import { Icon } from './icon.tsx'
import { Picture } from './picture.tsx'

const words = strings.call

export interface TileProps {
  readonly person: Person
  readonly isLarge: boolean
  readonly pin: () => void
  /** Shows how the connection is. */
  readonly show: () => void
}

export function Tile({ person, isLarge, pin, show }: TileProps) {
  const place = useRef<HTMLElement>(null)
  const { name, about, stream, hasPicture, speaks, state } = person
  const { picture, microphone } = about.value
  const isScreen = picture === 'screen'
  const isSilent = state.value === 'connected' && !microphone
  const classes = ['tile', isLarge && 'is-large', speaks.value && 'speaks']
  return (
    <section ref={place} class={classes.filter(Boolean).join(' ')} aria-label={name.value}>
      {/* It is there without a picture too: the sound comes by it. */}
      <Picture stream={stream.value} label={name.value} isWhole={isScreen} isHidden={!hasPicture.value} />
      {!hasPicture.value && <Stand name={name.value} note={noteOf(person)} />}
      {hasPicture.value && state.value !== 'connected' && <p class="veil">{noteOf(person)}</p>}
      <div class="caption">
        <span class="name">
          {isSilent && (
            <span class="silent" title={words.muted}>
              <Icon of="microphone-off" />
              <span class="hidden">{words.muted}</span>
            </span>
          )}
          <span class="cut" title={name.value}>
            {isScreen ? words.shares(name.value) : name.value}
          </span>
          {speaks.value && <span class="hidden">{words.speaks}</span>}
        </span>
        <Badge person={person} show={show} />
      </div>
      <div class="corner">
        {document.pictureInPictureEnabled && hasPicture.value && (
          <button
            type="button"
            class="round small"
            aria-label={words.pip(name.value)}
            title={words.pip(name.value)}
            onClick={() =>
              void place.current
                ?.querySelector('video')
                ?.requestPictureInPicture()
                .catch(() => {})
            }
          >
            <Icon of="window" />
          </button>
        )}
        <button
          type="button"
          class="round small"
          aria-pressed={isLarge}
          aria-label={isLarge ? words.unpin(name.value) : words.pin(name.value)}
          title={isLarge ? words.unpin(name.value) : words.pin(name.value)}
          onClick={pin}
        >
          <Icon of="pin" />
        </button>
      </div>
    </section>
  )
}

/** @param isPaused too little passes for one's picture, at least to somebody */
export function OwnTile({ devices, isPaused }: { devices: Devices; isPaused: boolean }) {
  const stream = useComputed(() => (devices.picture.value ? new MediaStream([devices.picture.value]) : undefined))
  const isScreen = devices.screen.value !== undefined
  const hears = devices.hears.value
  const name = settings.value.name.trim()
  const label = name === '' ? words.self : words.you(name)
  return (
    <section class="tile own" aria-label={label}>
      <Picture
        stream={stream.value}
        label={label}
        isMuted
        isMirrored={settings.value.mirror && !isScreen}
        isWhole={isScreen}
        isHidden={!stream.value}
      />
      {!stream.value && <Stand name={label} note={words.noPicture} />}
      {stream.value && isPaused && <p class="veil">{words.paused}</p>}
      <div class="caption">
        <span class="name">
          {!hears && (
            <span class="silent" title={words.muted}>
              <Icon of="microphone-off" />
              <span class="hidden">{words.muted}</span>
            </span>
          )}
          <span class="cut">{isScreen ? words.yourScreen : words.self}</span>
        </span>
      </div>
    </section>
  )
}

/** What stands in the place of a picture. */
const Stand = ({ name, note }: { name: string; note: string }) => (
  <div class="stand">
    <span class="initial" aria-hidden="true">
      {[...name][0]?.toUpperCase()}
    </span>
    <p class="note">{note}</p>
  </div>
)

function noteOf({ state, isOther }: Person): string {
  if (isOther.value) return words.otherVersion
  switch (state.value) {
    case 'connecting':
      return words.connecting
    case 'lost':
      return words.lost
    case 'failed':
      return words.failed
    case 'connected':
      return words.noPicture
  }
}

/** How the connection is, in a word. */
export const kindOf = ({ state, path }: Person): 'direct' | 'relayed' | 'connecting' | 'lost' | 'failed' => {
  if (state.value !== 'connected') return state.value
  return path.value?.kind === 'relay' ? 'relayed' : 'direct'
}

function Badge({ person, show }: { person: Person; show: () => void }) {
  const kind = kindOf(person)
  const word = strings.badge[kind]
  return (
    <button
      type="button"
      class={`badge ${kind}`}
      aria-label={strings.badge.open(person.name.value, word)}
      onClick={show}
    >
      <Icon of={kind === 'direct' || kind === 'relayed' ? kind : 'warning'} />
      {word}
    </button>
  )
}
