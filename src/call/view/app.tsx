// All of the page: what is shown in each phase of a call.

import { useEffect, useRef } from 'preact/hooks'
import type { Call } from '../model/call.ts'
import type { Opened } from '../model/link.ts'
import { strings } from '../words/strings.ts'
import { Inside } from './inside.tsx'
import { Lobby } from './lobby.tsx'
import { Notices } from './notices.tsx'
import { Over, ProblemCard } from './over.tsx'

/** @param call undefined where the link, or the browser, cannot be used */
export function App({ opened, call }: { opened: Opened; call: Call | undefined }) {
  const waiting = call?.waiting.value.length ?? 0
  useEffect(() => {
    document.title = strings.title(opened.room, waiting)
  }, [opened, waiting])
  if (!call) return <ProblemCard room={opened.room} problem={opened.problem ?? 'other'} />
  return (
    <>
      <Phase call={call} />
      <Notices />
    </>
  )
}

function Phase({ call }: { call: Call }) {
  const phase = call.phase.value
  const isFirst = useRef(true)
  useEffect(() => {
    if (!isFirst.current) headingFocused()
    isFirst.current = false
  }, [phase.at])
  switch (phase.at) {
    case 'ready':
    case 'entering':
      return <Lobby call={call} isEntering={phase.at === 'entering'} />
    case 'waiting':
      return <Waiting call={call} inside={phase.inside} />
    case 'inside':
      return <Inside call={call} />
    case 'over':
      return <Over call={call} problem={phase.problem} sentence={phase.sentence} />
  }
}

/** Whoever uses a screen reader, or the keyboard, is where the new part of the page begins. */
function headingFocused(): void {
  const heading = document.querySelector('h1')
  if (!heading) return
  heading.tabIndex = -1
  heading.focus()
}

const Waiting = ({ call, inside }: { call: Call; inside: number }) => (
  <main class="alone card" aria-live="polite">
    <p class="room">{call.room}</p>
    <h1>{strings.waiting.heading}</h1>
    <p>{strings.waiting.text(inside)}</p>
    <div class="waits" aria-hidden="true" />
    <button type="button" onClick={() => call.leave()}>
      {strings.waiting.leave}
    </button>
  </main>
)
