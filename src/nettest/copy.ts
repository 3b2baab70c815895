// Copies the link of a result. Without TLS a browser has no clipboard for pages, and says so by not having it.

import { result } from '../network-words.ts'

/** Shows the button of the page, and does what it says. */
export function offerCopy(): void {
  const button = document.querySelector<HTMLButtonElement>('[data-copy]')
  const status = document.querySelector('[role=status]')
  if (!button || !status) return
  button.hidden = false
  button.onclick = async () => {
    const copied = await navigator.clipboard?.writeText(location.href).then(
      () => true,
      () => false
    )
    // Said anew, so that it is read out again.
    status.textContent = ''
    setTimeout(() => {
      status.textContent = copied ? result.copied : result.uncopied
    })
  }
}
