// Plain ICE as anybody would build it in a page: what driver.ts is in Node. The page sets `ice` by this, and then calls as that does.

/** A trial that takes longer is aborted and counted as such, in milliseconds. */
export const PATIENCE_MS = 10_000

/**
 * Gives `globalThis.ice` to a page, whose `given` is a `Joining`. Candidates may be added as soon as a description is being set, since
 * a browser does one after the other. Once `ice.films` was called, both tracks of its stream are sent from the first description on.
 */
export const plainIce = `globalThis.ice = await (async ({ url, name, server: { address, port, user, password } }) => {
  const iceServers = [{ urls: 'stun:' + address + ':' + port }]
  if (user) iceServers.push({ urls: 'turn:' + address + ':' + port, username: user, credential: password })
  const open = new Map()
  let calls = 0, newest, filmed, shows
  const line = new WebSocket(url + '/' + name)
  const say = signal => line.send(JSON.stringify({ from: name, ...signal }))
  const connection = (to, call) => {
    const pc = newest = new RTCPeerConnection({ iceServers })
    open.set(call, pc)
    for (const track of filmed?.getTracks() ?? []) pc.addTrack(track, filmed)
    pc.ontrack = ({ streams: [stream] }) => shows?.(stream)
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) say({ to, call, candidate: candidate.candidate, mid: candidate.sdpMid })
    }
    return pc
  }
  const describe = async (pc, to, call) => {
    await pc.setLocalDescription()
    const { sdp, type } = pc.localDescription
    say({ to, call, sdp, type })
  }
  line.onmessage = async ({ data }) => {
    const { from, call, sdp, type, candidate, mid } = JSON.parse(data)
    const pc = open.get(call) ?? (type === 'offer' ? connection(from, call) : undefined)
    if (!pc || pc.signalingState === 'closed') return
    if (candidate) return void pc.addIceCandidate({ candidate, sdpMid: mid }).catch(() => {})
    await pc.setRemoteDescription({ type, sdp })
    if (type === 'offer') await describe(pc, from, call)
  }
  await new Promise((resolve, reject) => {
    line.onopen = resolve
    line.onerror = () => reject(new Error('the switchboard cannot be reached'))
  })
  return {
    /** Sends the tracks of this stream on each connection that is made from now on, and hands over what comes of the other side. */
    films(stream, show) {
      filmed = stream
      shows = show
    },
    /** Milliseconds from making the connection to its open channel; undefined when it did not open in time. */
    async call(to) {
      const startMs = performance.now()
      const call = name + '-' + calls++
      const pc = connection(to, call)
      const channel = pc.createDataChannel('bench')
      const opened = new Promise(resolve => {
        channel.onopen = () => resolve(performance.now() - startMs)
        setTimeout(resolve, ${PATIENCE_MS})
      })
      await describe(pc, to, call)
      return await opened
    },
    async candidate() {
      const stats = [...(await newest.getStats()).values()]
      const chosen = stats.find(({ type }) => type === 'transport')?.selectedCandidatePairId
      const pair = stats.find(({ id, type, selected }) => type === 'candidate-pair' && (id === chosen || selected))
      const [local, remote] = [pair?.localCandidateId, pair?.remoteCandidateId].map(id => stats.find(one => one.id === id))
      return remote?.candidateType === 'relay' || remote?.address === address ? 'relay' : local?.candidateType
    },
    release() {
      for (const pc of open.values()) pc.close()
      open.clear()
    }
  }
})(given)`
