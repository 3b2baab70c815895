// A router that starts anew has forgotten its mappings. PCP and NAT-PMP tell with each answer for how many seconds the router has
// remembered them (RFC 6887 section 8.5, RFC 6886 section 3.6). Where that does not fit what it told before, the router has
// started anew in between, and whatever else it was asked for has to be asked for again.

export class Epoch extends EventTarget {
  readonly #nowMs: () => number
  #last: { readonly toldS: number; readonly atMs: number } | undefined

  constructor(nowMs: () => number = () => performance.now()) {
    super()
    this.#nowMs = nowMs
  }

  /** Takes what an answer told, in seconds. Dispatches `restarted` if the router has started anew since the last answer. */
  told(toldS: number): void {
    const now = { toldS, atMs: this.#nowMs() }
    const before = this.#last
    this.#last = now
    if (before && !fits(toldS - before.toldS, (now.atMs - before.atMs) / 1000))
      this.dispatchEvent(new Event('restarted'))
  }
}

/**
 * RFC 6887 section 8.5: the router's clock may go back by a second, since answers can overtake each other. Otherwise both clocks
 * have counted the same time, but for two seconds and a sixteenth.
 */
function fits(routerS: number, ownS: number): boolean {
  if (routerS < -1) return false
  return ownS + 2 >= routerS - routerS / 16 && routerS + 2 >= ownS - ownS / 16
}
