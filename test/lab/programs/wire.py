"""Wires with delay, jitter, loss and duplicates between pairs of interfaces of this network namespace, all in one process.

    wire.py SEED  IF1 IF2 DELAY_MS JITTER_MS LOSS_PERCENT DUPLICATE_PERCENT  [IF1 IF2 ...]

netem is missing from many kernels. Each frame that comes in on one interface of a pair leaves by the other one after the
delay (one way, the same in both directions), never overtaking another; a duplicate follows at once. Prints "ready" once it
forwards, and ends with its standard input.
"""
import gc, heapq, random, select, socket, sys, time

ETH_P_ALL = 3
SOL_PACKET = 263
# Each frame is read and written behind its virtio header, which tells the kernel what is left to compute: checksums stay
# right without switching off any offloads.
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER = 8 << 20
FRAME = 70_000
BURST = 64


def open_end(name):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    try:
        end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:  # a plain user gets what the system allows
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    end.setblocking(False)
    end.bind((name, ETH_P_ALL))
    return end


class Direction:
    def __init__(self, source, target, delay_ms, jitter_ms, loss_percent, duplicate_percent):
        self.receive, self.send = source.recv, target.send
        self.delay, self.jitter, self.loss = delay_ms / 1000, jitter_ms / 1000, loss_percent / 100
        self.duplicates = duplicate_percent / 100
        self.last = 0.0


def take_in(direction, queue, count):
    """Queues up to BURST waiting frames by the time they are due."""
    for _ in range(BURST):
        try:
            frame = direction.receive(FRAME)
        except OSError:  # nothing left, or the interface is down
            return count
        if direction.loss and random.random() < direction.loss:
            continue
        due = time.monotonic() + direction.delay + random.random() * direction.jitter
        direction.last = due = max(due, direction.last)
        for _ in range(2 if direction.duplicates and random.random() < direction.duplicates else 1):
            count += 1
            heapq.heappush(queue, (due, count, direction, frame))
    return count


def give_out(queue):
    """Sends what is due. Returns how long until the next frame is, in seconds."""
    while queue:
        wait = queue[0][0] - time.monotonic()
        if wait > 0:
            return wait
        _, _, direction, frame = heapq.heappop(queue)
        try:
            direction.send(frame)
        except OSError:  # a full queue or an interface that is down loses a frame, like any wire
            pass
    return None


def main():
    random.seed(int(sys.argv[1]))
    directions = {sys.stdin.fileno(): None}
    for i in range(2, len(sys.argv), 6):
        a, b = open_end(sys.argv[i]), open_end(sys.argv[i + 1])
        numbers = [float(text) for text in sys.argv[i + 2:i + 6]]
        directions[a] = Direction(a, b, *numbers)
        directions[b] = Direction(b, a, *numbers)
    gc.disable()  # nothing here is cyclic, and a collection would delay frames
    print("ready", flush=True)
    queue, count, ends = [], 0, list(directions)
    while True:
        # select and not epoll, whose timeout in Python is whole milliseconds.
        for end in select.select(ends, (), (), give_out(queue))[0]:
            if directions[end] is None:
                return
            count = take_in(directions[end], queue, count)


main()
