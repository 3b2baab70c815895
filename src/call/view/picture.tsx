// A moving picture, and the sound that goes with it.

import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { settings } from '../model/settings.ts'

/** The browser plays nothing before the person has clicked somewhere in the page. */
export const waitsForClick = signal(false)

export const playNow = (): void => {
  waitsForClick.value = false
}

export interface PictureProps {
  readonly stream: MediaStream | undefined
  readonly label: string
  readonly isMuted?: boolean
  readonly isMirrored?: boolean
  /** All of it is shown, with a margin where it does not fit. */
  readonly isWhole?: boolean
  readonly isHidden?: boolean
}

export function Picture({ stream, label, isMuted, isMirrored, isWhole, isHidden }: PictureProps) {
  const video = useRef<HTMLVideoElement>(null)
  const { speaker } = settings.value
  useEffect(() => {
    const element = video.current
    if (!element) return
    if (element.srcObject !== (stream ?? null)) element.srcObject = stream ?? null
    if (stream)
      element.play().catch(thrown => {
        if ((thrown as DOMException).name === 'NotAllowedError') waitsForClick.value = true
      })
  }, [stream, waitsForClick.value])
  useEffect(() => {
    if (!isMuted) void video.current?.setSinkId?.(speaker).catch(() => {})
  }, [speaker, isMuted])
  const classes = ['picture', isMirrored && 'mirrored', isWhole && 'whole', isHidden && 'unseen']
  return (
    <video
      ref={video}
      class={classes.filter(Boolean).join(' ')}
      aria-label={label}
      muted={isMuted ?? false}
      autoplay
      playsInline
      disableRemotePlayback
    />
  )
}
