// The exports of the library: a peer, a gateway, and the contract of a plugin. Everything else may change.

export { type Config, loadConfig, parseConfig } from './config/config.ts'
export { type Code, codes, PosternError } from './errors.ts'
export { type Gateway, openGateway } from './gateway/gateway.ts'
export type { GatewayStatus } from './gateway/http/status.ts'
export type { DoorReached, EndpointReached, PacketsReached, Reached } from './peer/checks/reach.ts'
export {
  Connection,
  type ConnectionEvents,
  type FarPeer,
  type GatewayNotice,
  type OpenOptions,
  type PathNews,
  type PathReport,
  type Serve
} from './peer/connection/connection.ts'
export { Stream } from './peer/connection/streams/stream.ts'
export { IncomingTrack, OutgoingTrack, type Written } from './peer/connection/tracks/track.ts'
export type { TrackOptions } from './peer/connection/tracks/tracks.ts'
export { defaultFolder, type Identity, loadIdentity } from './peer/identity/identity.ts'
export { KnownPeers, parsePeer } from './peer/identity/known-peers.ts'
export { Network, type NetworkEvents, type NetworkOptions } from './peer/network.ts'
export {
  type ConnectOptions,
  type ForwardNews,
  type GuestRoom,
  type GuestRoomEvents,
  type MadeRoom,
  type PathNotice,
  Peer,
  type PeerOptions,
  type RoomMember,
  type RoomOptions,
  type Roster,
  type StrategyReport,
  type TwinNews
} from './peer/peer.ts'
export { ping } from './peer/services/ping.ts'
export { pipe } from './peer/services/pipe.ts'
export { type Offer, type Received, type ReceiveOptions, receive } from './peer/services/receive.ts'
export { type Progress, type SendOptions, type Sent, send } from './peer/services/send.ts'
export type { NatFindings, NatOptions } from './peer/survey.ts'
export type { Cause, Pass, Plan } from './strategy/plan.ts'
export type { Defaults, OptionRange, Planner, Plugin, Toolbox } from './strategy/plugin.ts'
export type { Attempt, Scene, Side } from './strategy/scene.ts'
export type { SpanRecord, TraceRecord } from './trace/record/record.ts'
export type { DurationText, RateText } from './units.ts'
export type { Verdict } from './verdict.ts'
export type { Endpoint } from './wire/endpoint.ts'
export type { PeerName } from './wire/name.ts'
export type { NatReport } from './wire/nat-report.ts'
export type { Word } from './wire/room/words.ts'
