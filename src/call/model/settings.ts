// What a person has chosen, kept by the browser for the next call. Where it keeps nothing, it is as long as the page.

import { effect, signal } from '@preact/signals'

interface Chosen {
  readonly name: string
  readonly camera: string
  readonly microphone: string
  readonly speaker: string
  readonly noise: boolean
  readonly echo: boolean
  readonly mirror: boolean
  readonly hideSelf: boolean
  readonly relayOnly: boolean
  readonly keys: boolean
}

const first: Chosen = {
  ...{ name: '', camera: '', microphone: '', speaker: '' },
  ...{ noise: true, echo: true, mirror: true, hideSelf: false, relayOnly: false, keys: true }
}

const KEY = 'postern call'

function kept(): Chosen {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Chosen>
    const usable = Object.entries(first).filter(([name, value]) => typeof found[name as keyof Chosen] === typeof value)
    return { ...first, ...Object.fromEntries(usable.map(([name]) => [name, found[name as keyof Chosen]])) }
  } catch {
    return first
  }
}

export const settings = signal<Chosen>(kept())

export const choose = (changed: Partial<Chosen>): void => {
  settings.value = { ...settings.peek(), ...changed }
}

effect(() => {
  const text = JSON.stringify(settings.value)
  try {
    localStorage.setItem(KEY, text)
  } catch {
    // The browser keeps nothing.
  }
})
