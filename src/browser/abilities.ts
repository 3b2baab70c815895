// What a browser has to have. A page that was loaded without TLS gets no keys, whatever the browser.

import { PosternError } from '../errors.ts'

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
