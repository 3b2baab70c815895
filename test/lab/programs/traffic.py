"""Opens UDP mappings in the NAT before this host, at the times of a Poisson process.

    traffic.py SEED PER_SECOND TARGET

Each event is one datagram from a source port that was not used for a long time. Prints "started" once it runs, how many it
has sent for each line of its standard input, and once more at the end of that, which is its own end.
"""
import random, select, socket, sys, time

# Below the ports a system gives by itself, and enough for three times the 120 s that a mapping may live, at 50 a second.
FIRST, COUNT = 12_000, 20_000


def main():
    seed, rate, target = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    roll = random.Random(seed)
    # Another run's ports may still have mappings: towards another port of the target these are new all the same.
    to = (target, roll.randrange(1024, 65536))
    made, due = 0, time.monotonic() + roll.expovariate(rate)
    print("started", flush=True)
    while True:
        if select.select([sys.stdin], (), (), max(0, due - time.monotonic()))[0]:
            over = not sys.stdin.buffer.raw.read(1)
            print(made, flush=True)
            if over:
                return
        if time.monotonic() < due:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("", FIRST + made % COUNT))
            one.sendto(b"foreign", to)
        made += 1
        due += roll.expovariate(rate)


main()
