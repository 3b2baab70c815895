import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { strings } from '../strings.ts'
import { Icon } from './icon.tsx'

/** What every panel has: a heading, which the keyboard comes to first, and a way out, which leads back to where the keyboard was. */
export function Panel({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
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
