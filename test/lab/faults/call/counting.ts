// What counts in a page of a call of two, as a script that is run in it once the other one, `given`, is there. It needs what a test has
// there (test/browser/call/tools.ts).

export const counting = `globalThis.counted = (() => {
  const now = () => performance.timeOrigin + performance.now()
  const times = { frames: [], sound: [] }, news = []

  const count = video => {
    times.frames.push(now())
    video.requestVideoFrameCallback(() => count(video))
  }
  const known = new WeakSet()
  let badge
  // Its picture may come to another element, and its badge to another word.
  const look = () => {
    const tile = tools.tile(given), video = tile?.querySelector('video'), said = tile ? tools.badge(given) : 'gone'
    if (video && !known.has(video)) {
      known.add(video)
      video.requestVideoFrameCallback(() => count(video))
    }
    if (said !== badge) news.push(now().toFixed(0) + ' ' + (badge = said))
  }
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true })
  look()

  // By the connection on which sound came last, everything comes.
  let current
  const played = new WeakMap()
  const listen = async pc => {
    for (const [, one] of await pc.getStats()) {
      if (one.type !== 'inbound-rtp' || one.kind !== 'audio') continue
      const samples = one.totalSamplesReceived - one.concealedSamples
      if (samples > (played.get(pc) ?? 0)) {
        times.sound.push(now())
        current = pc
      }
      played.set(pc, samples)
    }
  }
  // Firefox gives no answer where a connection is closed meanwhile.
  const asked = new WeakSet()
  setInterval(() => {
    for (const pc of tools.all) {
      if (asked.has(pc) || !['connected', 'disconnected'].includes(pc.connectionState)) continue
      asked.add(pc)
      listen(pc).catch(() => {}).finally(() => asked.delete(pc))
    }
  }, 50)

  const farAddress = async () => {
    const stats = await current?.getStats(), all = [...stats?.values() ?? []]
    const transport = all.find(({ type }) => type === 'transport')
    // Firefox says it of the pair itself.
    const pair = all.find(one => one.type === 'candidate-pair' && (one.selected ?? one.id === transport?.selectedCandidatePairId))
    return stats?.get(pair?.remoteCandidateId)?.address
  }
  const since = atMs => {
    const after = list => list.filter(time => time > atMs)
    return { frames: after(times.frames), sound: after(times.sound), news }
  }
  return { since, farAddress }
})(), undefined`
