#!/usr/bin/env bash
set -euo pipefail
# With node-datachannel 0.33.4 a track that goes both ways reports on what comes, or hears what is asked of it, and not both. The
# handler that sends receiver reports (RtcpReceivingSession) takes all RTCP out of what comes in, so a far side that asks for a key frame
# (a picture loss indication, RFC 4585) is not heard by `onMessage` of the track. RTP is. Without the handler both are heard, and nobody
# is told what has come: browsers send video at some 300 kbit/s then.
#
# Two connections on loopback with a track of VP8 each way; one sends 20 RTP packets and 20 picture loss indications. Seen:
#
#   without a handler: 20 RTP, 20 picture loss indications
#   with RtcpReceivingSession: 20 RTP, 0 picture loss indications
#
# Needs Linux with glibc, node and npm. Everything lies in a temporary folder. Ends with 0 if node-datachannel does what is said
# above, else with 1.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund node-datachannel@0.33.4
cat > look.mjs <<'END'
import { setTimeout as sleep } from 'node:timers/promises'
import { PeerConnection, RtcpReceivingSession, Video } from 'node-datachannel'

async function heard(isReporting) {
  const [a, b] = ['a', 'b'].map(name => new PeerConnection(name, { iceServers: [], bindAddress: '127.0.0.1', disableAutoNegotiation: true }))
  for (const [from, to] of [[a, b], [b, a]]) {
    from.onLocalDescription((sdp, type) => {
      to.setRemoteDescription(sdp, type)
      if (type === 'offer') to.setLocalDescription('answer')
    })
    from.onLocalCandidate((candidate, mid) => to.addRemoteCandidate(candidate, mid))
  }
  const track = (pc, ssrc) => {
    const video = new Video('video', 'SendRecv')
    video.addVP8Codec(96)
    video.addSSRC(ssrc, 'one')
    return pc.addTrack(video)
  }
  const [mine, far] = [track(a, 1), track(b, 2)]
  const counts = { rtp: 0, pli: 0 }
  far.onMessage(packet => {
    if (packet[1] === 206) counts.pli++
    else if ((packet[1] & 127) === 96) counts.rtp++
  })
  const opened = [mine, far].map(one => new Promise(resolve => one.onOpen(resolve)))
  if (isReporting) far.setMediaHandler(new RtcpReceivingSession())
  a.setLocalDescription('offer')
  await Promise.all(opened)
  for (let i = 0; i < 20; i++) {
    const rtp = Buffer.alloc(32)
    rtp.writeUInt8(0x80, 0)
    rtp.writeUInt8(96, 1)
    rtp.writeUInt16BE(i, 2)
    rtp.writeUInt32BE(1, 8)
    mine.sendMessageBinary(rtp)
    mine.sendMessageBinary(Buffer.from([0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]))
    await sleep(10)
  }
  await sleep(200)
  for (const pc of [a, b]) pc.close()
  return counts
}
const [plain, reporting] = [await heard(false), await heard(true)]
const line = ({ rtp, pli }) => `${rtp} RTP, ${pli} picture loss indications`
console.log(`without a handler: ${line(plain)}`)
console.log(`with RtcpReceivingSession: ${line(reporting)}`)
process.exit(plain.rtp === 20 && plain.pli === 20 && reporting.rtp === 20 && reporting.pli === 0 ? 0 : 1)
END
node look.mjs
