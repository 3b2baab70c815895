// When there is no call, or none any more: what happened, and a way on.

import type { Call } from '../model/call.ts'
import { type Problem, strings } from '../words/strings.ts'

export function Over({
  call,
  problem,
  sentence
}: {
  call: Call
  problem: Problem | undefined
  sentence: string | undefined
}) {
  const { title, text } = problem ? strings.problems[problem] : strings.over.left
  return (
    <main class="alone card">
      <p class="room">{call.room}</p>
      <h1>{title}</h1>
      <p>{text}</p>
      {problem === 'other' && sentence && <p class="soft">{sentence}.</p>}
      <button type="button" class="first" onClick={() => call.again()}>
        {strings.over.again}
      </button>
    </main>
  )
}

/** Before anything was tried. */
export const ProblemCard = ({ room, problem }: { room: string; problem: Problem }) => (
  <main class="alone card">
    <p class="room">{room}</p>
    <h1>{strings.problems[problem].title}</h1>
    <p>{strings.problems[problem].text}</p>
    <button type="button" class="first" onClick={() => location.reload()}>
      {strings.over.reload}
    </button>
  </main>
)
