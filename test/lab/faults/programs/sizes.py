"""What gets through a path, one datagram each way, each of its own size and with "don't fragment" set.

    sizes.py answer ADDRESS PORT                           answers with as many bytes as it is asked for; prints "ready"
    sizes.py ask ADDRESS PORT LOCAL_PORT BYTES BACK_BYTES  asks once, with a packet of BYTES, for one of BACK_BYTES

Sizes are of the IP packet. `ask` prints JSON: whether an answer came, the port that was seen there, and the MTU that a router
named on the way, if one did. What routers said before is not heeded (IP_PMTUDISC_PROBE), so that each packet is really sent.
"""
import select, socket, struct, sys

IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, IP_RECVERR = 10, 3, 11
HEADERS = 28
PATIENCE_S = 0.4


def opened(address, port):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
    one.bind((address, port))
    return one


def answer(address, port):
    one = opened(address, int(port))
    print("ready", flush=True)
    while True:
        question, source = one.recvfrom(65535)
        size = int(question.split()[0]) - HEADERS
        one.sendto(f"{source[1]} ".encode().ljust(size), source)


def ask(address, port, local, size, back):
    one = opened("0.0.0.0", int(local))
    one.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    one.sendto(f"{back} ".encode().ljust(int(size) - HEADERS), (address, int(port)))
    came, more = False, ""
    poll = select.poll()
    poll.register(one, select.POLLIN)
    for _, event in poll.poll(PATIENCE_S * 1000):
        if event & select.POLLERR:
            _, (*_, (_, _, error)), _, _ = one.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
            more = f', "mtu": {struct.unpack_from("=IBBBBII", error)[5]}'  # sock_extended_err: ee_info
        elif event & select.POLLIN:
            answered = one.recv(65535)
            came, more = len(answered) == int(back) - HEADERS, f', "seen": {int(answered.split()[0])}'
    print(f'{{"came": {"true" if came else "false"}{more}}}')


{"answer": answer, "ask": ask}[sys.argv[1]](*sys.argv[2:])
