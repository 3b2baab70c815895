// The call by the keyboard. Keys are left alone where somebody writes.

import { useEffect } from 'preact/hooks'
import type { Call } from '../model/call.ts'
import { settings } from '../model/settings.ts'
import type { Open } from './panel.tsx'

export function useKeys({ devices }: Call, show: (panel: Open) => void): void {
  useEffect(() => {
    const over = new AbortController()
    const { signal } = over
    /** The microphone is on as long as a key is held. */
    let isHeld = false
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return
      if (event.key === 'Escape') return show(undefined)
      if (isWriting(event.target) || !settings.peek().keys) return
      const isOn = devices.hears.peek()
      switch (event.key.toLowerCase()) {
        case 'm':
          return void devices.setMicrophone(!isOn)
        case 'v':
          return void devices.setCamera(devices.camera.peek() === undefined)
        case 's':
          return devices.screen.peek() ? devices.unshare() : void devices.share()
        case 'c':
          event.preventDefault()
          return show('chat')
        case ' ':
          if (isOn || event.target instanceof HTMLButtonElement) return
          event.preventDefault()
          isHeld = true
          return void devices.setMicrophone(true)
      }
    }
    const release = () => {
      if (!isHeld) return
      isHeld = false
      void devices.setMicrophone(false)
    }
    addEventListener('keydown', press, { signal })
    addEventListener('keyup', ({ key }) => key === ' ' && release(), { signal })
    // What is released in another window is not heard here.
    addEventListener('blur', release, { signal })
    return () => {
      release()
      over.abort()
    }
  }, [])
}

const isWriting = (target: EventTarget | null): boolean =>
  target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement
