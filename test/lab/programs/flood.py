# The moment in which a port changes hands, made certain to be hit: in the box of a site, what a host sends to one of the
# given addresses is answered at once, as if from there, with a flood of datagrams that nobody can use. It begins with the
# first datagram of each flow, lasts half a second or until there is a newer flow, and looks like STUN. Prints `ready`.
#
#   flood.py INTERFACE ADDRESS...
import select, socket, sys, time

line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(0x0800))
line.bind((sys.argv[1], 0))
far = {socket.inet_aton(address) for address in sys.argv[2:]}
flows = set()

def answer_to(frame):
    ip, udp = frame[14:34], frame[34:42]
    payload = b'\0\1' + bytes(18)
    head = b'\x45\0' + (28 + len(payload)).to_bytes(2, 'big') + bytes(4) + b'\x40\x11\0\0' + ip[16:20] + ip[12:16]
    total = sum(int.from_bytes(head[at:at + 2], 'big') for at in range(0, 20, 2))
    total = (total & 0xffff) + (total >> 16)
    checksum = (~((total & 0xffff) + (total >> 16)) & 0xffff).to_bytes(2, 'big')
    ports = udp[2:4] + udp[:2] + (8 + len(payload)).to_bytes(2, 'big') + b'\0\0'
    return frame[6:12] + frame[:6] + frame[12:14] + head[:10] + checksum + head[12:] + ports + payload

def is_new(frame, kind):
    ip = frame[14:34]
    if kind == socket.PACKET_OUTGOING or ip[0] != 0x45 or ip[9] != 17 or ip[16:20] not in far:
        return False
    flow = ip[12:20] + frame[34:38]
    known = flow in flows
    flows.add(flow)
    return not known

print('ready', flush=True)
answer, end = b'', 0.0
while True:
    is_flooding = time.monotonic() < end
    if select.select([line], [], [], 0 if is_flooding else None)[0]:
        frame, (_, _, kind, *_) = line.recvfrom(2048)
        if is_new(frame, kind):
            answer, end = answer_to(frame), time.monotonic() + 0.5
    elif is_flooding:
        line.send(answer)
