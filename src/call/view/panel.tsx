import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { Person } from '../model/person.ts'
import { strings } from '../words/strings.ts'
import { Icon } from './icon.tsx'

/** What is open beside the pictures: a panel, the connection to somebody, or nothing. */
export type Open = 'chat' | 'settings' | Person | undefined

/** What every panel has: a heading, which the keyboard comes to first, and a way out. */
export function Panel({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [])
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
