// What is written and sent in a call.

import { useEffect, useRef } from 'preact/hooks'
import { formatBytes } from '../../units.ts'
import type { Call } from '../model/call.ts'
import type { Entry } from '../model/chat.ts'
import type { FileState, Incoming, Transfer } from '../model/files.ts'
import { CHAT_CHARACTERS } from '../model/limits.ts'
import { strings } from '../words/strings.ts'
import { Icon } from './icon.tsx'
import { Panel } from './panel.tsx'

const words = strings.chat

/** So far above the end, in pixels, one still looks at it. */
const NEAR_PX = 240

export function ChatPanel({ call, close }: { call: Call; close: () => void }) {
  const { entries } = call.chat
  const end = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const list = end.current?.parentElement
    // Whoever reads what is above goes on reading.
    if (list && list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_PX)
      end.current?.scrollIntoView({ block: 'nearest' })
  }, [entries.value])
  return (
    <Panel title={words.heading} close={close}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be scrolled by the keyboard too */}
      <div class="entries" role="log" tabIndex={0} aria-label={words.heading}>
        {entries.value.length === 0 && <p class="soft">{words.empty}</p>}
        {entries.value.map(entry => (
          <EntryLine key={entry.id} entry={entry} />
        ))}
        <div ref={end} />
      </div>
      <Write call={call} />
    </Panel>
  )
}

function Write({ call }: { call: Call }) {
  const field = useRef<HTMLTextAreaElement>(null)
  const send = () => {
    const text = field.current?.value.trim() ?? ''
    if (text === '' || !field.current) return
    call.write(text)
    field.current.value = ''
    field.current.focus()
  }
  const keys = (event: KeyboardEvent) => {
    // While a word is composed, Enter chooses it.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    send()
  }
  const isAlone = call.people.value.length === 0
  return (
    <form
      class="write"
      onSubmit={event => {
        event.preventDefault()
        send()
      }}
    >
      <textarea
        ref={field}
        rows={2}
        maxLength={CHAT_CHARACTERS}
        aria-label={words.write}
        placeholder={words.placeholder}
        onKeyDown={keys}
      />
      <label class={`attach round small ${isAlone ? 'disabled' : ''}`} title={words.attach}>
        <Icon of="file" />
        <span class="hidden">{words.attach}</span>
        <input
          type="file"
          class="hidden"
          disabled={isAlone}
          onChange={({ currentTarget }) => {
            for (const file of currentTarget.files ?? []) call.offer(file)
            currentTarget.value = ''
          }}
        />
      </label>
      <button type="submit" class="round small on" aria-label={words.send} title={words.send}>
        <Icon of="send" />
      </button>
    </form>
  )
}

function EntryLine({ entry }: { entry: Entry }) {
  switch (entry.kind) {
    case 'event':
      return <p class="event soft">{entry.text}</p>
    case 'text':
      return (
        <div class={`entry ${entry.from === undefined ? 'mine' : ''}`}>
          <Head from={entry.from ?? words.me} atMs={entry.atMs} />
          <p class="text">{entry.text}</p>
        </div>
      )
    case 'offered':
      return (
        <div class="entry">
          <Head from={words.offered(entry.from)} atMs={entry.atMs} />
          <Offered file={entry.file} />
        </div>
      )
    case 'sent':
      return (
        <div class="entry mine">
          <Head from={words.me} atMs={entry.atMs} />
          <p class="file-name">
            <Icon of="file" /> {entry.name} <span class="soft">{formatBytes(entry.size)}</span>
          </p>
          {entry.to.map(({ name, file }, at) => (
            <Progress key={`${at} ${name}`} file={file} label={name} />
          ))}
        </div>
      )
  }
}

const Head = ({ from, atMs }: { from: string; atMs: number }) => (
  <p class="from">
    <b>{from}</b>{' '}
    <time dateTime={new Date(atMs).toISOString()}>
      {new Date(atMs).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}
    </time>
  </p>
)

function Offered({ file }: { file: Incoming }) {
  const url = file.url.value
  return (
    <>
      <p class="file-name">
        <Icon of="file" /> {file.name} <span class="soft">{formatBytes(file.size)}</span>
      </p>
      {file.state.value === 'offered' ? (
        <div class="row">
          <button type="button" class="first" onClick={() => void file.take()}>
            {words.accept}
          </button>
          <button type="button" onClick={() => file.refuse()}>
            {words.refuse}
          </button>
        </div>
      ) : url ? (
        <a class="button" href={url} download={file.name}>
          {words.save}
        </a>
      ) : (
        <Progress file={file} label={file.name} />
      )}
    </>
  )
}

const said: Readonly<Record<FileState, string>> = {
  ...{ offered: '', taking: '', moving: '', waits: words.waits, arrived: words.arrived },
  ...{ sent: words.sent, refused: words.refused, broken: words.broken }
}

function Progress({ file, label }: { file: Transfer; label: string }) {
  const state = file.state.value
  const done = file.done.value
  const isOpen = state === 'moving' || state === 'waits'
  return (
    <div class="progress">
      {state === 'moving' && <progress max={Math.max(1, file.size)} value={done} aria-label={label} />}
      <span>
        {label}: {state === 'moving' ? words.sending(formatBytes(done), formatBytes(file.size)) : said[state]}
      </span>
      {isOpen && (
        <button type="button" class="plain" aria-label={words.stop} title={words.stop} onClick={() => file.stop()}>
          <Icon of="close" />
        </button>
      )}
    </div>
  )
}
