// Keeps a page up to date. While the page is visible, this script fetches it again every few seconds, and swaps the parts
// marked data-live that have changed. Opened details stay open, the focus stays where it is, and a part that somebody is
// selecting is left alone. Without this script the page stays as it was when it was loaded.

const status = document.getElementById('live')
const everyMs = Number(document.body.dataset.every)

/** The parts as the gateway sent them: what is open or focused now is no news. */
const shown = new Map([...document.querySelectorAll('[data-live]')].map(part => [part.id, part.innerHTML]))
let trueAt = new Date()
let timer

document.addEventListener('visibilitychange', () => {
  clearTimeout(timer)
  if (!document.hidden) look()
})
later()

function later() {
  clearTimeout(timer)
  if (!document.hidden) timer = setTimeout(look, everyMs)
}

async function look() {
  try {
    const answer = await fetch(location.href, {
      headers: { accept: 'text/html' },
      redirect: 'manual',
      signal: AbortSignal.timeout(10_000)
    })
    // The session is over. When the page itself is loaded again, it leads to the form.
    if (answer.type === 'opaqueredirect') return location.reload()
    if (!answer.ok) throw new Error(String(answer.status))
    swap(new DOMParser().parseFromString(await answer.text(), 'text/html'))
    trueAt = new Date()
    say('Live', false)
  } catch {
    say(`The gateway does not answer. This is as of ${trueAt.toISOString().slice(11, 19)}.`, true)
  }
  later()
}

function swap(news) {
  for (const part of news.querySelectorAll('[data-live]')) {
    const here = document.getElementById(part.id)
    if (!here || shown.get(part.id) === part.innerHTML || isBeingSelected(here)) continue
    shown.set(part.id, part.innerHTML)
    keeping(here, () => here.replaceChildren(...document.importNode(part, true).childNodes))
    if (here.className !== part.className) here.className = part.className
  }
}

function isBeingSelected(part) {
  const selection = getSelection()
  return selection !== null && !selection.isCollapsed && selection.containsNode(part, true)
}

/** Runs `replace`, and puts back what a person did to the part. */
function keeping(part, replace) {
  const open = [...part.querySelectorAll('details[open][id]')].map(({ id }) => id)
  const scrolled = [...part.querySelectorAll('.scroll')].map(({ scrollLeft }) => scrollLeft)
  const focused = part.contains(document.activeElement) ? placeOf(part, document.activeElement) : undefined
  replace()
  for (const id of open) document.getElementById(id)?.setAttribute('open', '')
  for (const [index, box] of [...part.querySelectorAll('.scroll')].entries()) box.scrollLeft = scrolled[index] ?? 0
  if (focused) (focused.find() ?? part.querySelector('a, summary'))?.focus({ preventScroll: true })
}

/** How to find the same thing again: by its address, by the details it opens, or by its number among its kind. */
function placeOf(part, element) {
  const href = element.getAttribute('href')
  const details = element.closest('details')?.id
  const number = [...part.querySelectorAll(element.localName)].indexOf(element)
  return {
    find: () => {
      if (href) return [...part.querySelectorAll('a')].find(link => link.getAttribute('href') === href)
      if (details) return document.getElementById(details)?.querySelector(element.localName)
      return part.querySelectorAll(element.localName)[number]
    }
  }
}

function say(text, gone) {
  if (status.textContent !== text) status.textContent = text
  status.classList.toggle('gone', gone)
}
