// The call itself: pictures, the bar of controls, and one panel at a time beside them.

import { useComputed, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Call } from '../model/call.ts'
import type { Person } from '../model/person.ts'
import { settings } from '../model/settings.ts'
import { strings } from '../words/strings.ts'
import { ChatPanel } from './chat.tsx'
import { ConnectionPanel } from './connection.tsx'
import { Controls } from './controls.tsx'
import { Copy } from './copy.tsx'
import { useKeys } from './keys.ts'
import type { Open } from './panel.tsx'
import { playNow, waitsForClick } from './picture.tsx'
import { SettingsPanel } from './settings.tsx'
import { OwnTile, Tile } from './tile.tsx'

const words = strings.call

export function Inside({ call }: { call: Call }) {
  const panel = useSignal<Open>(undefined)
  const show = (next: Open) => {
    panel.value = panel.peek() === next ? undefined : next
  }
  useKeys(call, show)
  useEffect(() => call.chat.show(panel.value === 'chat'), [panel.value])
  // Whoever has left has no connection to look at.
  const open = typeof panel.value === 'object' && !call.people.value.includes(panel.value) ? undefined : panel.value
  return (
    <div class={`call ${open ? 'with-panel' : ''}`}>
      {/* A link would lead to another address, and so to no call. */}
      <button type="button" class="skip" onClick={() => document.getElementById('stage')?.focus()}>
        {strings.skip}
      </button>
      <header class="bar">
        <h1>{call.room}</h1>
        <span class="soft">{words.people(call.people.value.length + 1)}</span>
        <Copy text={location.href} />
      </header>
      <Doorway call={call} />
      <Stage call={call} show={show} />
      {open && (
        <aside class="panel" aria-label={titleOf(open)}>
          {open === 'chat' ? (
            <ChatPanel call={call} close={() => show(open)} />
          ) : open === 'settings' ? (
            <SettingsPanel call={call} close={() => show(open)} />
          ) : (
            <ConnectionPanel
              key={open.id}
              person={open}
              retry={call.calls(open) ? () => call.retry(open) : undefined}
              close={() => show(open)}
            />
          )}
        </aside>
      )}
      <Controls call={call} show={show} open={open} />
    </div>
  )
}

function titleOf(panel: NonNullable<Open>): string {
  if (panel === 'chat') return strings.chat.heading
  return panel === 'settings' ? strings.settings.heading : strings.badge.heading(panel.name.value)
}

/** Who waits to be let in, and what keeps somebody from coming in, or from being heard. */
const Doorway = ({ call }: { call: Call }) => (
  <div class="doorway" role="status">
    {call.waiting.value.map(guest => (
      <div class="banner" key={guest.id}>
        <p>{words.waits}</p>
        {call.isFull.value && <p class="soft">{words.full}</p>}
        <button type="button" class="first" disabled={call.isFull.value} onClick={() => call.admit(guest)}>
          {words.admit}
        </button>
        <button type="button" onClick={() => call.turnAway(guest)}>
          {words.turnAway}
        </button>
      </div>
    ))}
    {call.isAway.value && <p class="banner">{words.away}</p>}
    {call.isOutside.value && <p class="banner">{words.outside}</p>}
    {waitsForClick.value && (
      <div class="banner">
        <p>{words.play}</p>
        <button type="button" class="first" onClick={playNow}>
          {words.playButton}
        </button>
      </div>
    )}
  </div>
)

/** Whoever shares a screen is shown large, unless somebody else was chosen. */
function Stage({ call, show }: { call: Call; show: (panel: Open) => void }) {
  const chosen = useSignal<Person | undefined>(undefined)
  const people = call.people.value
  const sharing = people.find(({ about }) => about.value.picture === 'screen')
  const large = people.find(person => person === chosen.value) ?? sharing
  const isSelfShown = useComputed(() => !settings.value.hideSelf || call.people.value.length === 0)
  const layout = large
    ? 'large'
    : people.length === 1
      ? 'pair'
      : `grid of-${people.length + (isSelfShown.value ? 1 : 0)}`
  return (
    <main id="stage" class={`stage ${layout}`} tabIndex={-1}>
      {people.map(person => (
        <Tile
          key={`${person.id} ${person.address}`}
          person={person}
          isLarge={person === large}
          pin={() => {
            chosen.value = person === large ? undefined : person
          }}
          show={() => show(person)}
        />
      ))}
      {isSelfShown.value && <OwnTile devices={call.devices} isPaused={people.some(({ isPaused }) => isPaused.value)} />}
      {people.length === 0 && (
        <section class="alone-here card">
          <h2>{words.alone}</h2>
          <p>{words.invite}</p>
          <code class="link">{location.href}</code>
        </section>
      )}
    </main>
  )
}
