import { useSignal } from '@preact/signals'
import { tell } from '../model/notices.ts'
import { strings } from '../words/strings.ts'
import { Icon } from './icon.tsx'

const SAID_MS = 2500

/** Puts a text where it can be pasted from. */
export function Copy({ text }: { text: string }) {
  const isDone = useSignal(false)
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      return tell(strings.call.notCopied)
    }
    isDone.value = true
    setTimeout(() => {
      isDone.value = false
    }, SAID_MS)
  }
  return (
    <button type="button" class="quiet copy" onClick={() => void copy()}>
      <Icon of="copy" />
      <span aria-live="polite">{isDone.value ? strings.call.copied : strings.call.copy}</span>
    </button>
  )
}
