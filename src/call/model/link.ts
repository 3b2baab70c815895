// The link of the room that this page was opened by, or why it is none that can be used.

import { PosternError } from '../../errors.ts'
import { parseRoomLink } from '../../wire/room/link.ts'
import type { Problem } from '../words/strings.ts'

export interface Opened {
  /** What the room is called; what the address has in its place where the link is not whole. */
  readonly room: string
  readonly link: string
  readonly problem?: Problem
}

/** What the browser has to have is looked at before anybody is asked for a camera. */
export function opened(href: string, scope: Partial<typeof globalThis> = globalThis): Opened {
  const room = nameIn(href)
  const problem = lacking(scope) ?? broken(href)
  return { room, link: href, ...(problem ? { problem } : {}) }
}

function lacking({ isSecureContext, crypto, RTCPeerConnection }: Partial<typeof globalThis>): Problem | undefined {
  if (isSecureContext === false) return 'insecure'
  if (RTCPeerConnection === undefined) return 'webrtc'
  return crypto?.subtle === undefined || !('withResolvers' in Promise) ? 'old' : undefined
}

function broken(href: string): Problem | undefined {
  try {
    parseRoomLink(href)
    return undefined
  } catch (thrown) {
    if (thrown instanceof PosternError) return 'no-link'
    throw thrown
  }
}

const nameIn = (href: string): string => /\/call\/([\w.-]+)/.exec(href)?.[1] ?? ''

/** What is said of an error with this code. */
export function problemOf(code: string): Problem {
  switch (code) {
    case 'no-room':
    case 'room-full':
    case 'turned-away':
    case 'gateway-unreachable':
    case 'wrong-gateway':
    case 'name-taken':
      return code
    case 'unsupported':
      return 'old'
    case 'bad-config':
      return 'no-link'
    case 'relay-full':
    case 'over-quota':
      return 'busy'
    default:
      return 'other'
  }
}
