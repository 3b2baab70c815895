// UDP sockets of the kernel's own, without libuv: many datagrams are received and sent by one call, and what belongs together stays
// together, since the kernel segments (UDP_SEGMENT, Linux 4.18) and joins datagrams of one size and way (UDP_GRO, Linux 5.0). All memory
// that the kernel is given addresses of is laid out here, once, and never moves. Structures are those of Linux with 64 bits, in little
// endian (man 2 recvmmsg, 7 udp, 7 ip, 3 cmsg).
//
//   socket ─► Inbox: up to 32 runs of datagrams ─► Outbox: the same memory, by reference ─► socket
//
// A run is one datagram or up to 64 of one source, all of one size but the last, which may be shorter.

import { PosternError } from '../../../errors.ts'
import { type Endpoint, formatEndpoint } from '../../../wire/endpoint.ts'
import { type Call, type Foreign, foreign } from './libc.ts'

const [AF_INET, AF_INET6, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_CLOEXEC] = [2, 10, 2, 0x800, 0x80000]
const [SOL_SOCKET, SO_SNDBUF, SO_RCVBUF, SO_REUSEPORT] = [1, 7, 8, 15]
const [IPPROTO_IPV6, IPV6_V6ONLY] = [41, 26]
const [SOL_UDP, UDP_SEGMENT, UDP_GRO] = [17, 103, 104]
const [EFD_NONBLOCK, EFD_CLOEXEC, POLLIN] = [0x800, 0x80000, 1]
const MSG_DONTWAIT = 0x40

const [EINTR, EAGAIN, EADDRINUSE] = [4, 11, 98]

/** Sizes of structures: mmsghdr with its msghdr, iovec, the larger of the two sockaddr, and one cmsghdr with a number behind it. */
const [MMSGHDR, IOVEC, NAME, CONTROL] = [64, 16, 28, 32]
/** A name with an IPv4 address. */
const SHORT_NAME = 16
/** Where a msghdr has its parts. */
const [MSG_NAME, MSG_NAMELEN, MSG_IOV, MSG_IOVLEN, MSG_CONTROL, MSG_CONTROLLEN, MSG_LEN] = [0, 8, 16, 24, 32, 40, 56]
/** cmsg_len of a cmsghdr with two and with four bytes. */
const [CMSG_TWO, CMSG_FOUR] = [18, 20]
/** Both take this much room. */
const CMSG_SPACE = 24

/** The words of a name: family and port, then an address of one word (IPv4), or flow, four words, and scope. */
export const NAME_WORDS = NAME / 4

/** Runs that are received at a time. */
export const RUNS = 32
/** The longest run: what an IPv4 packet can be, and a little. */
const RUN_BYTES = 65_536
/** Datagrams that the kernel segments one send into (UDP_MAX_SEGMENTS of older kernels). */
export const MOST_SEGMENTS = 64
/** The most bytes in one send: an IPv6 packet without its headers. */
const SEND_BYTES = 65_487

/** Memory that does not move, and where it is. All places in it are in bytes. */
export class Memory {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly words: Uint32Array<ArrayBuffer>
  /** Its address: a number that JavaScript has whole, as user space ends below 2^53. */
  readonly address: number

  constructor(size: number, { address }: Foreign) {
    this.bytes = new Uint8Array(new ArrayBuffer(size))
    this.words = new Uint32Array(this.bytes.buffer)
    this.address = Number(address(this.bytes))
  }

  set(at: number, value: number): void {
    this.words[at / 4] = value
  }

  get(at: number): number {
    return this.words[at / 4] as number
  }

  pointer(at: number, to: number): void {
    this.words[at / 4] = to % 2 ** 32
    this.words[at / 4 + 1] = Math.floor(to / 2 ** 32)
  }
}

/** A socket, by the number that all threads of the process know it by. */
export interface RawSocket {
  readonly fd: number
  readonly local: Endpoint
}

export class Raw {
  readonly foreign: Foreign
  readonly #call: Record<'socket' | 'bind' | 'getsockname' | 'setsockopt' | 'close' | 'sendto' | 'eventfd', Call>

  constructor(library: Foreign) {
    this.foreign = library
    const { call } = library
    this.#call = {
      socket: call('int', 'socket', ['int', 'int', 'int']),
      bind: call('int', 'bind', ['int', 'void *', 'uint']),
      getsockname: call('int', 'getsockname', ['int', 'void *', 'void *']),
      setsockopt: call('int', 'setsockopt', ['int', 'int', 'int', 'void *', 'uint']),
      close: call('int', 'close', ['int']),
      sendto: call('long', 'sendto', ['int', 'void *', 'size_t', 'int', 'void *', 'uint']),
      eventfd: call('int', 'eventfd', ['uint', 'int'])
    }
  }

  /** Or why this system has no such calls. */
  static open(): Raw | string {
    const library = foreign()
    if (typeof library === 'string') return library
    try {
      return new Raw(library)
    } catch (error) {
      return `the C library lacks a call: ${(error as Error).message.split('\n')[0]}`
    }
  }

  /**
   * Binds a socket. Throws `port-in-use` or `io`.
   * @param bufferBytes that the kernel holds of what comes, and of what goes
   * @param isShared whether it shares its port with others of this process that do: a flow stays with one of them
   */
  bind(at: Endpoint, bufferBytes: number, isShared = false): RawSocket {
    const isSix = at.address.includes(':')
    const fd = this.#call.socket(isSix ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if (fd < 0) throw this.#refused(at)
    try {
      if (isShared) this.#set(fd, SOL_SOCKET, SO_REUSEPORT, 1, at)
      this.#set(fd, SOL_SOCKET, SO_RCVBUF, bufferBytes, at)
      this.#set(fd, SOL_SOCKET, SO_SNDBUF, bufferBytes, at)
      if (isSix) this.#set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, at)
      this.#set(fd, SOL_UDP, UDP_GRO, 1, at)
      const name = nameOf(at)
      if (this.#call.bind(fd, name, name.length) < 0) throw this.#refused(at)
      const own = new Uint8Array(NAME)
      if (this.#call.getsockname(fd, own, Uint8Array.of(NAME, 0, 0, 0)) < 0) throw this.#refused(at)
      return { fd, local: { ...at, port: new DataView(own.buffer).getUint16(2) } }
    } catch (error) {
      this.close(fd)
      throw error
    }
  }

  close(fd: number): void {
    this.#call.close(fd)
  }

  /** Sends one datagram, to a name that `nameOf` has made; it may be lost, as any datagram may. */
  sendTo(fd: number, datagram: Uint8Array, name: Uint8Array): void {
    this.#call.sendto(fd, datagram, datagram.length, MSG_DONTWAIT, name, name.length)
  }

  /** A number that threads wait for (man 2 eventfd). */
  event(): number {
    const fd = this.#call.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
    if (fd < 0) throw new PosternError('io', `no eventfd: error ${this.foreign.errno()}`)
    return fd
  }

  #set(fd: number, level: number, option: number, value: number, at: Endpoint): void {
    const four = new Uint8Array(Int32Array.of(value).buffer)
    if (this.#call.setsockopt(fd, level, option, four, four.length) < 0) throw this.#refused(at)
  }

  #refused(at: Endpoint): PosternError {
    const number = this.foreign.errno()
    const isTaken = number === EADDRINUSE
    const why = isTaken ? 'is already in use' : `cannot be bound: error ${number}`
    return new PosternError(isTaken ? 'port-in-use' : 'io', `UDP ${formatEndpoint(at)} ${why}`)
  }
}

/** What has come to a socket: up to `RUNS` runs, until the next ones are received. */
export class Inbox {
  /** The bytes of all runs. */
  readonly data: Uint8Array<ArrayBuffer>
  /** Their names: `NAME_WORDS` words for each. */
  readonly names: Uint32Array<ArrayBuffer>
  readonly #data: Memory
  readonly #messages: Memory
  readonly #names: Memory
  readonly #vectors: Memory
  readonly #controls: Memory
  readonly #recvmmsg: Call
  /** Of the last call. */
  #runs = 0

  constructor({ foreign }: Raw) {
    this.#recvmmsg = foreign.call('int', 'recvmmsg', ['int', 'size_t', 'uint', 'int', 'size_t'])
    this.#data = new Memory(RUNS * RUN_BYTES, foreign)
    this.#messages = new Memory(RUNS * MMSGHDR, foreign)
    this.#names = new Memory(RUNS * NAME, foreign)
    this.#vectors = new Memory(RUNS * IOVEC, foreign)
    this.#controls = new Memory(RUNS * CONTROL, foreign)
    this.data = this.#data.bytes
    this.names = this.#names.words
    for (let run = 0; run < RUNS; run++) {
      this.#vectors.pointer(run * IOVEC, this.#data.address + run * RUN_BYTES)
      this.#vectors.set(run * IOVEC + 8, RUN_BYTES)
      prepare(this.#messages, run, { names: this.#names, vectors: this.#vectors, controls: this.#controls })
      this.#makeReady(run)
    }
  }

  get memory(): Memory {
    return this.#data
  }

  /** How many runs were there; 0 where nothing was. */
  receive({ fd }: RawSocket): number {
    for (let run = 0; run < this.#runs; run++) this.#makeReady(run)
    this.#runs = Math.max(0, this.#recvmmsg(fd, this.#messages.address, RUNS, MSG_DONTWAIT, 0))
    return this.#runs
  }

  /** The kernel has written there how long both are. */
  #makeReady(run: number): void {
    this.#messages.set(run * MMSGHDR + MSG_NAMELEN, NAME)
    this.#messages.set(run * MMSGHDR + MSG_CONTROLLEN, CONTROL)
  }

  offset(run: number): number {
    return run * RUN_BYTES
  }

  bytes(run: number): number {
    return this.#messages.get(run * MMSGHDR + MSG_LEN)
  }

  /** The size of the datagrams of a run; of the last one at most. */
  segment(run: number): number {
    const bytes = this.bytes(run)
    if (this.#messages.get(run * MMSGHDR + MSG_CONTROLLEN) < CMSG_FOUR) return bytes
    const control = run * CONTROL
    const isJoined = this.#controls.get(control + 8) === SOL_UDP && this.#controls.get(control + 12) === UDP_GRO
    return isJoined ? Math.min(bytes, this.#controls.get(control + 16)) : bytes
  }
}

/** What one socket is to send at the next `flush`: by reference, so its memory must not change until then. */
export class Outbox {
  /** Datagrams that the kernel refused: it had no room, or no way to send them. */
  refused = 0
  readonly #fd: number
  readonly #capacity: number
  readonly #messages: Memory
  readonly #names: Memory
  readonly #vectors: Memory
  readonly #controls: Memory
  readonly #foreign: Foreign
  readonly #sendmmsg: Call
  #count = 0

  /** @param capacity the most runs between two flushes */
  constructor({ foreign }: Raw, { fd }: RawSocket, capacity = 256) {
    this.#fd = fd
    this.#capacity = capacity
    this.#foreign = foreign
    this.#sendmmsg = foreign.call('int', 'sendmmsg', ['int', 'size_t', 'uint', 'int'])
    this.#messages = new Memory(capacity * MMSGHDR, foreign)
    this.#names = new Memory(capacity * NAME, foreign)
    this.#vectors = new Memory(capacity * IOVEC, foreign)
    this.#controls = new Memory(capacity * CONTROL, foreign)
    for (let at = 0; at < capacity; at++) {
      prepare(this.#messages, at, { names: this.#names, vectors: this.#vectors, controls: this.#controls })
      const control = at * CONTROL
      this.#controls.set(control, CMSG_TWO)
      this.#controls.set(control + 8, SOL_UDP)
      this.#controls.set(control + 12, UDP_SEGMENT)
    }
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /**
   * A run, or a part of one, of whole datagrams of `segment` bytes of which the last may be shorter. What is beyond `MOST_SEGMENTS`
   * or a packet is sent by another call.
   * @param names where the name of the far side is, `NAME_WORDS` words from `at`
   */
  put(memory: Memory, offset: number, bytes: number, segment: number, names: Uint32Array, at: number): void {
    const most = segment > 0 ? Math.min(MOST_SEGMENTS, Math.max(1, Math.floor(SEND_BYTES / segment))) * segment : bytes
    for (let from = 0; from < bytes; from += most)
      this.#put(memory, offset + from, Math.min(most, bytes - from), segment, names, at)
    if (bytes === 0) this.#put(memory, offset, 0, 0, names, at)
  }

  #put(memory: Memory, offset: number, bytes: number, segment: number, names: Uint32Array, at: number): void {
    if (this.#count === this.#capacity) this.flush()
    const index = this.#count++
    const name = (index * NAME) / 4
    const isSix = ((names[at] as number) & 0xffff) === AF_INET6
    const words = isSix ? NAME_WORDS : SHORT_NAME / 4
    for (let word = 0; word < words; word++) this.#names.words[name + word] = names[at + word] as number
    this.#messages.set(index * MMSGHDR + MSG_NAMELEN, 4 * words)
    this.#messages.set(index * MMSGHDR + MSG_CONTROLLEN, bytes > segment ? CMSG_SPACE : 0)
    this.#controls.set(index * CONTROL + 16, segment)
    this.#vectors.pointer(index * IOVEC, memory.address + offset)
    this.#vectors.set(index * IOVEC + 8, bytes)
  }

  /** Sends what there is. What cannot be sent now is lost, and counted. */
  flush(): void {
    let sent = 0
    while (sent < this.#count) {
      const done = this.#send(sent, this.#count - sent)
      if (done > 0) sent += done
      else if (this.#foreign.errno() !== EINTR) this.#fails(sent++)
    }
    this.#count = 0
  }

  /** A way that takes no datagrams of this size joined takes them one by one, and the kernel makes fragments of them. */
  #fails(index: number): void {
    const number = this.#foreign.errno()
    const [message, vector] = [index * MMSGHDR, index * IOVEC]
    const isJoined = this.#messages.get(message + MSG_CONTROLLEN) > 0
    const bytes = this.#vectors.get(vector + 8)
    const segment = isJoined ? this.#controls.get(index * CONTROL + 16) : Math.max(1, bytes)
    if (!isJoined || number === EAGAIN) {
      this.refused += Math.ceil(Math.max(1, bytes) / segment)
      return
    }
    this.#messages.set(message + MSG_CONTROLLEN, 0)
    let from = this.#vectors.get(vector) + this.#vectors.get(vector + 4) * 2 ** 32
    for (let left = bytes; left > 0; left -= segment) {
      this.#vectors.pointer(vector, from)
      this.#vectors.set(vector + 8, Math.min(segment, left))
      if (this.#send(index, 1) < 1) this.refused++
      from += segment
    }
  }

  #send(from: number, count: number): number {
    return this.#sendmmsg(this.#fd, this.#messages.address + from * MMSGHDR, count, MSG_DONTWAIT)
  }
}

/** The parts of a message that are always at the same place. */
function prepare(
  messages: Memory,
  index: number,
  { names, vectors, controls }: Record<'names' | 'vectors' | 'controls', Memory>
): void {
  const message = index * MMSGHDR
  messages.pointer(message + MSG_NAME, names.address + index * NAME)
  messages.pointer(message + MSG_IOV, vectors.address + index * IOVEC)
  messages.set(message + MSG_IOVLEN, 1)
  messages.pointer(message + MSG_CONTROL, controls.address + index * CONTROL)
}

/** The name of an endpoint, as the kernel has it (man 7 ip, 7 ipv6). Throws `io` for what is no address. */
export function nameOf({ address, port }: Endpoint): Uint8Array<ArrayBuffer> {
  const isSix = address.includes(':')
  const name = new Uint8Array(isSix ? NAME : SHORT_NAME)
  const view = new DataView(name.buffer)
  view.setUint16(0, isSix ? AF_INET6 : AF_INET, true)
  view.setUint16(2, port)
  if (isSix) for (const [at, group] of groupsOf(address).entries()) view.setUint16(8 + 2 * at, group)
  else for (const [at, byte] of address.split('.').entries()) view.setUint8(4 + at, Number(byte))
  return name
}

/** RFC 4291 section 2.2: eight groups, of which `::` may leave out those that are 0; the last two may be written as IPv4. */
function groupsOf(address: string): number[] {
  const plain = address.replace(/[\d.]+$/, four => {
    const [a = 0, b = 0, c = 0, d] = four.split('.').map(Number)
    return d === undefined ? four : `${(256 * a + b).toString(16)}:${(256 * c + d).toString(16)}`
  })
  const [before = [], after = []] = plain.split('::').map(part => part.split(':').filter(group => group !== ''))
  const left = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return [...before, ...left, ...after].map(group => Number.parseInt(group, 16))
}

/** The endpoint of a name, whose words begin at `at`: the inverse of `nameOf`, with an address as dgram writes it. */
export function endpointOf(names: Uint32Array<ArrayBuffer>, at: number): Endpoint {
  const view = new DataView(names.buffer, names.byteOffset + 4 * at, NAME)
  const port = view.getUint16(2)
  if (view.getUint16(0, true) === AF_INET)
    return { address: [4, 5, 6, 7].map(byte => view.getUint8(byte)).join('.'), port }
  const groups = Array.from({ length: 8 }, (_, group) => view.getUint16(8 + 2 * group).toString(16))
  // The host of a URL is written as RFC 5952 has it.
  return { address: new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1), port }
}

/** Waits for sockets and an event (man 2 poll). */
export class Waiting {
  readonly #entries: Memory
  readonly #view: DataView
  readonly #poll: Call
  readonly #read: Call
  readonly #event: number
  readonly #sockets: number
  readonly #eight: Memory

  constructor({ foreign }: Raw, sockets: readonly RawSocket[], event: number) {
    this.#poll = foreign.call('int', 'poll', ['size_t', 'ulong', 'int'])
    this.#read = foreign.call('long', 'read', ['int', 'size_t', 'size_t'])
    this.#event = event
    this.#sockets = sockets.length
    this.#entries = new Memory(8 * (sockets.length + 1), foreign)
    this.#view = new DataView(this.#entries.bytes.buffer)
    this.#eight = new Memory(8, foreign)
    for (const [at, fd] of [...sockets.map(({ fd }) => fd), event].entries()) {
      this.#view.setInt32(8 * at, fd, true)
      this.#view.setInt16(8 * at + 4, POLLIN, true)
    }
  }

  /** Until something has come, or for so many milliseconds. */
  wait(forMs: number): void {
    if (this.#poll(this.#entries.address, this.#sockets + 1, forMs) >= 0) return
    for (let at = 0; at <= this.#sockets; at++) this.#view.setInt16(8 * at + 6, 0, true)
  }

  isReady(socket: number): boolean {
    return this.#view.getInt16(8 * socket + 6, true) !== 0
  }

  /** Whether the event has happened; it may happen again then. */
  takesEvent(): boolean {
    if (!this.isReady(this.#sockets)) return false
    this.#read(this.#event, this.#eight.address, 8)
    return true
  }
}

/** Has whoever waits for an event go on. */
export class Event {
  readonly fd: number
  readonly #write: Call

  constructor(raw: Raw) {
    this.fd = raw.event()
    this.#write = raw.foreign.call('long', 'write', ['int', 'void *', 'size_t'])
  }

  happens(): void {
    this.#write(this.fd, ONE, 8)
  }
}

const ONE = new Uint8Array(BigUint64Array.of(1n).buffer)
