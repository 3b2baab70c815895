import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import type { Person } from '../model/person.ts'
import { strings } from '../words/strings.ts'
import { Icon } from './icon.tsx'

/** What is open beside the pictures: a panel, the connection to somebody, or nothing. */
export type Open = 'chat' | 'settings' | Person | undefined

/** What every panel has: a heading, which the keyboard comes to first, and a way out, which leads back to where the keyboard was. */
export function Panel({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null
    const panel = heading.current?.closest('.panel')
    heading.current?.focus()
    return () => {
      // Whoever has pressed something outside stays there.
      if (panel?.contains(document.activeElement)) before?.focus()
    }
  }, [])
  return (
    <>
      <div class="panel-top">
        <h2 ref={heading} tabIndex={-1}>
          {title}
        </h2>
        <button type="button" class="plain" aria-label={strings.controls.close} onClick={close}>
          <Icon of="close" />
        </button>
      </div>
      {children}
    </>
  )
}
