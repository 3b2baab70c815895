// What a browser has to have. A page that was loaded without TLS gets no keys, whatever the browser.

import { PosternError } from '../errors.ts'
import type { AgentPace } from '../wire/agent.ts'

/** Throws `unsupported` with what to do about it. */
export function checkAbilities(scope: Partial<typeof globalThis> = globalThis): void {
  if (scope.crypto?.subtle === undefined)
    throw new PosternError(
      'unsupported',
      scope.isSecureContext === false
        ? `this page was loaded from ${scope.location?.origin ?? 'an address without TLS'}, where a browser makes no keys; load it by https, or from localhost`
        : 'this browser makes no keys (WebCrypto); update it'
    )
  if (scope.RTCPeerConnection === undefined)
    throw new PosternError(
      'unsupported',
      'this browser makes no connections to others (WebRTC); allow it in its settings or extensions, or update it'
    )
}

export const isFirefox = (): boolean => navigator.userAgent.includes('Firefox/')

/** As Firefox ESR 153 and Chromium 156 were measured. With more connections than these, some send nothing for a second. */
export const agentPace = (): AgentPace =>
  isFirefox() ? { perConnection: 48, inAll: 167, connections: 16 } : { perConnection: 16, inAll: 1024, connections: 64 }
