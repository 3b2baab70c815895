// What a web page imports: a peer in a browser. `npm run build` makes one module of it without imports (tools/bundle.ts), which a
// gateway serves as /postern.js.

export { Connection, type ConnectionEvents } from './browser/connection.ts'
export type { Encoding } from './browser/media.ts'
export { type ConnectOptions, type JoinOptions, join, type Peer } from './browser/peer.ts'
export { Stream } from './browser/stream.ts'
export type { IncomingTrack, OutgoingTrack } from './browser/tracks.ts'
export { type Code, PosternError } from './errors.ts'
export type { PathNotice, StrategyReport } from './peer/connecting.ts'
export type { OpenOptions } from './peer/connection/core.ts'
export type { FarPeer, GatewayNotice, PathNews, PathReport } from './peer/connection/path.ts'
export type { RoomEntry } from './peer/room/entry.ts'
export type { RoomMember, Roster } from './peer/room/guest-room.ts'
export type { Verdict } from './verdict.ts'
export type { Word } from './wire/room/words.ts'
