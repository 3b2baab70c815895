// What becomes of a path, in one line for a person and as an event for programs.
//
//   path to bob: lost, nothing was heard for 1 s; looking for another
//   path to bob: relayed through the gateway, after 1.1 s (192.168.1.2:24516 to 203.0.113.6:3478)
//   path to bob: direct again, found by stun (192.168.1.2:24518 to 203.0.113.17:40000)

import type { PathNews, PathReport } from '../../peer/connection/connection.ts'
import { roughly } from '../../units.ts'
import type { DoorKind } from '../../wire/doors/door.ts'
import type { Event, Paint } from './output.ts'

/** What is told while a command runs. */
export type Told = Exclude<PathNews, { what: 'proved' }>

/** What stands around the news. */
export interface Setting {
  /** Name of the peer. */
  readonly to: string
  /** How long another path is waited for, in milliseconds; 0: it is not. */
  readonly resumeMs: number
  /** Without the gateway no other path is found. */
  readonly isGatewayAway: boolean
  /** There was a direct path before. */
  readonly wasDirect: boolean
  readonly paint: Paint
}

/** One line, not wrapped. */
export function newsText(news: Told, setting: Setting): string {
  const { to, paint } = setting
  switch (news.what) {
    case 'lost':
      return `path to ${to}: ${paint('yellow', 'lost')}, ${whyOf(news)}; ${nextOf(setting)}`
    case 'narrow':
      return `path to ${to}: ${news.reason}; trying smaller ones`
    case 'back':
      return `path to ${to}: ${paint('green', 'heard again')}, after ${roughly(news.ms)}`
    case 'moved': {
      const after = news.ms > 0 ? `, after ${roughly(news.ms)}` : ''
      return `path to ${to}: ${howOf(news.path, setting)}${after} (${news.path.local} to ${news.path.remote})`
    }
  }
}

/** `direct, found by stun`, or `relayed through the gateway`. */
export function howOf(path: PathReport, { paint, wasDirect }: Pick<Setting, 'paint' | 'wasDirect'>): string {
  const { kind, by, door = 'udp' } = path
  if (kind === 'relay') return `${paint('yellow', 'relayed')} through the gateway${doorWords[door]}`
  return `${paint('green', wasDirect ? 'direct again' : 'direct')}, found by ${by}`
}

/** UDP is the way that everybody expects. */
const doorWords: Readonly<Record<DoorKind, string>> = { udp: '', tcp: ' over TCP', websocket: ' over a WebSocket' }

const whyOf = ({ reason, quietMs }: Extract<PathNews, { what: 'lost' }>): string =>
  quietMs > 0 ? `nothing was heard for ${roughly(quietMs)}` : reason

function nextOf({ resumeMs, isGatewayAway }: Setting): string {
  if (resumeMs === 0) return 'no other is looked for'
  return isGatewayAway ? 'waiting for the gateway, which is away' : 'looking for another'
}

/** The same for programs. Times are in milliseconds. */
export function newsEvent(news: Told, peer: string): Event {
  const { by, kind, local, remote, trace } = news.path
  const door = news.path.door === undefined ? {} : { door: news.path.door }
  const about = { event: 'path-changed', what: news.what, peer }
  switch (news.what) {
    case 'narrow':
      return { ...about, kind, mtu: news.path.mtu, reason: news.reason, trace }
    case 'lost':
      return { ...about, kind, reason: news.reason, quietMs: Math.round(news.quietMs), trace }
    case 'back':
      return { ...about, kind, ms: Math.round(news.ms), trace }
    case 'moved': {
      const { before, ms, resentBytes } = news
      return { ...about, by, kind, ...door, local, remote, before: before.kind, ms: Math.round(ms), resentBytes, trace }
    }
  }
}
