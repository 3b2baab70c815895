// What the page shows before there is a result: what the test does, how far it is, and why it did not end.

import { signal } from '@preact/signals'
import { page } from '../network-words.ts'
import { Refused, run, type Step } from './run.ts'

type State =
  | { readonly at: 'ready' }
  | { readonly at: 'running'; readonly steps: readonly Step[] }
  | { readonly at: 'over' }
  | { readonly at: 'failed'; readonly sentence: string; readonly isRefused: boolean; readonly seconds: number }

const state = signal<State>({ at: 'ready' })

async function start(): Promise<void> {
  if (state.value.at === 'running') return
  const steps: Step[] = []
  try {
    const id = await run(step => {
      steps.push(step)
      state.value = { at: 'running', steps: [...steps] }
    })
    state.value = { at: 'over' }
    location.assign(location.pathname.replace(/\/*$/, `/${id}`))
  } catch (thrown) {
    const { message, retryMs = 0 } = thrown instanceof Refused ? thrown : new Refused(page.unsupported)
    state.value = { at: 'failed', sentence: message, isRefused: retryMs > 0, seconds: Math.ceil(retryMs / 1000) }
    if (retryMs > 0) countDown()
  }
}

function countDown(): void {
  const timer = setInterval(() => {
    const { value } = state
    if (value.at !== 'failed' || value.seconds === 0) return clearInterval(timer)
    state.value = { ...value, seconds: value.seconds - 1 }
  }, 1000)
}

export const Test = () => (
  <main id="main">
    <h1>{page.title}</h1>
    <p class="lead">{page.lead}</p>
    <Deed />
    {state.value.at === 'running' && <Progress steps={state.value.steps} />}
    {state.value.at === 'failed' && <Failure {...state.value} />}
    <p class="hidden" role="status">
      {said(state.value)}
    </p>
    <p class="note">{page.does}</p>
  </main>
)

/** It keeps its place and the focus while the test runs. */
const Deed = () => {
  const { value } = state
  const seconds = value.at === 'failed' ? value.seconds : 0
  const isBusy = value.at === 'running' || value.at === 'over' || seconds > 0
  return (
    <p class="deeds">
      <button type="button" aria-disabled={isBusy} onClick={() => !isBusy && start()}>
        {value.at === 'failed' ? page.again : page.start}
      </button>
      {seconds > 0 && <span class="wait">{page.wait(seconds)}</span>}
    </p>
  )
}

const Progress = ({ steps }: { steps: readonly Step[] }) => (
  <ol class="steps">
    {steps.map((step, at) => (
      <li key={step} class={at === steps.length - 1 ? 'now' : 'past'}>
        {page.steps[step]}
      </li>
    ))}
  </ol>
)

const Failure = ({ sentence, isRefused }: { sentence: string; isRefused: boolean }) => (
  <div class="failure" role="alert">
    <h2>{isRefused ? page.refused : page.failed}</h2>
    <p>{sentence}</p>
  </div>
)

/** What a screen reader says: each step once. */
function said(value: State): string {
  if (value.at === 'running') return page.steps[value.steps.at(-1) ?? 'asked']
  return value.at === 'over' ? page.over : ''
}
