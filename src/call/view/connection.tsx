// How the connection to one person is: direct or relayed, why, what to do about it, figures of now, and the words to compare.

import { percent } from '../../units.ts'
import type { Person } from '../model/person.ts'
import { strings } from '../words/strings.ts'
import { Panel } from './panel.tsx'
import { kindOf } from './tile.tsx'

const words = strings.badge

export interface ConnectionPanelProps {
  readonly person: Person
  /** Left out where the other side is the one that calls. */
  readonly retry: (() => void) | undefined
  readonly close: () => void
}

export function ConnectionPanel({ person, retry, close }: ConnectionPanelProps) {
  const kind = kindOf(person)
  return (
    <Panel title={words.heading(person.name.value)} close={close}>
      {kind === 'failed' ? <Failure person={person} retry={retry} /> : <Path person={person} />}
      <Words person={person} />
      {person.connection.value && <Figures person={person} />}
    </Panel>
  )
}

function Path({ person }: { person: Person }) {
  const kind = kindOf(person)
  const verdict = person.notice.value?.verdict
  if (kind === 'connecting') return <p>{strings.call.connecting}</p>
  if (kind === 'lost') return <p>{strings.call.lost}</p>
  if (kind === 'direct') return <p class="said direct">{words.isDirect}</p>
  return (
    <>
      <p class="said relayed">{words.isRelayed}</p>
      {person.isPaused.value && <p>{strings.call.paused}</p>}
      {verdict?.code === 'direct' ? (
        <p>{words.wasDirect}</p>
      ) : (
        <Why person={person} code={verdict?.code} sentence={verdict?.sentence} advice={verdict?.advice} />
      )}
    </>
  )
}

function Failure({ person, retry }: { person: Person; retry: (() => void) | undefined }) {
  const error = person.error.value
  return (
    <>
      <p class="said failed">{strings.call.failed}</p>
      <Why person={person} sentence={error?.verdict?.sentence ?? error?.message} advice={error?.verdict?.advice} />
      {retry && (
        <button type="button" onClick={retry}>
          {words.retry}
        </button>
      )}
    </>
  )
}

interface WhyProps {
  readonly person: Person
  readonly code?: string | undefined
  readonly sentence: string | undefined
  readonly advice: string | undefined
}

function Why({ person, code, sentence, advice }: WhyProps) {
  // What was chosen in the lobby is called here as it is there.
  const [why, deed] =
    code === 'relay-only' && sentence
      ? words.hidden[whoIn(sentence, person)](person.name.value)
      : [sentence && told(sentence, person), advice && told(advice, person)]
  return (
    <dl class="why">
      <dt>{words.because}</dt>
      <dd>{why || words.noReason}</dd>
      {deed && (
        <>
          <dt>{words.advice}</dt>
          <dd>{deed}</dd>
        </>
      )}
    </dl>
  )
}

/** What the gateway calls people who have come by a link. */
const guest = /\bguest-[\da-f]{12}\b/g

/** Of whom a sentence of the gateway is. */
function whoIn(sentence: string, { address }: Person): 'you' | 'them' | 'both' {
  if (!sentence.includes(address)) return 'you'
  return sentence.replaceAll(address, '').match(guest) ? 'both' : 'them'
}

/** The gateway knows people by the names that it made up for them. */
const told = (text: string, { address, name }: Person): string =>
  `${capital(
    text
      .replaceAll(address, () => name.value)
      .replaceAll(guest, strings.call.youAre)
      .replaceAll(/\byou (is|has|was|reaches)\b/g, (_, verb: keyof typeof ofYou) => `you ${ofYou[verb]}`)
  )}.`

/** As it is said of oneself. */
const ofYou = { is: 'are', has: 'have', was: 'were', reaches: 'reach' } as const

function Words({ person }: { person: Person }) {
  const said = person.connection.value?.words
  if (!said) return null
  return (
    <section class="words">
      <h3>{words.words}</h3>
      <ol>
        {said.map(({ emoji, word }, at) => (
          <li key={`${at} ${word}`}>
            <span aria-hidden="true">{emoji}</span> {word}
          </li>
        ))}
      </ol>
      <p class="soft">{words.wordsHint}</p>
    </section>
  )
}

function Figures({ person }: { person: Person }) {
  const figures = person.figures.value
  const limit = person.notice.value?.bitsPerSecond
  const rtt = person.rttMs.value
  const rows: [string, string | undefined][] = [
    [words.roundTrip, rtt === undefined ? undefined : `${Math.round(rtt)} ms`],
    [words.loss, figures?.loss === undefined ? undefined : percent(figures.loss)],
    [words.lossThere, figures?.lossThere === undefined ? undefined : percent(figures.lossThere)],
    [words.receiving, figures && rate(figures.receiving)],
    [words.sending, figures && rate(figures.sending)],
    [words.picture, figures?.picture],
    [words.ownPicture, figures?.ownPicture],
    ...(limit === undefined ? [] : [[words.limit, rate(limit)] as [string, string]])
  ]
  return (
    <section>
      <h3>{words.figures}</h3>
      <dl class="figures">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value ?? words.none}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

const rate = (bitsPerSecond: number): string =>
  bitsPerSecond >= 1e6 ? `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bitsPerSecond / 1000)} kbit/s`

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, '')
