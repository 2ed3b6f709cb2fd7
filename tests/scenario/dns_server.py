# SPDX-License-Identifier: Apache-2.0
"""A small DNS server on a loopback port, UDP and TCP, whose records a test sets and whose faults it chooses.

    dns = DnsServer()
    dns.set("*.ward.example", "A", "127.0.0.1")      # a name, or "*." and what lies below it
    dns.set("_acme-challenge.a.example", "TXT", "one", "another")
    dns.fault("b.example", "servfail")               # servfail refused silent truncated garbage; None: healthy again
    dns.set("c.example", "A", lambda: next(answers)) # a new answer to each question

It answers as a resolver does: a CNAME together with what it leads to. Names that it does not know do not exist."""
import ipaddress
import socket
import struct
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "TXT": 16, "AAAA": 28, "CAA": 257}
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
OPT = 41


def encode_name(name):
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            out += bytes([len(label)]) + label.encode()
    return out + b"\0"


def encode(kind, value):
    if kind == "A":
        return ipaddress.IPv4Address(value).packed
    if kind == "AAAA":
        return ipaddress.IPv6Address(value).packed
    if kind in ("CNAME", "NS"):
        return encode_name(value)
    if kind == "TXT":
        raw = value if isinstance(value, bytes) else value.encode()
        return b"".join(bytes([len(raw[k:k + 255])]) + raw[k:k + 255] for k in range(0, max(len(raw), 1), 255))
    if kind == "CAA":  # (flags, tag, value)
        flags, tag, text = value
        return bytes([flags, len(tag)]) + tag.encode() + text.encode()
    raise ValueError(kind)


def read_name(packet, at):
    labels = []
    while packet[at] != 0:
        if packet[at] >= 64 or len(labels) > 127:
            raise ValueError("a question is not compressed")
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("ascii").lower())
        at += 1 + packet[at]
    return ".".join(labels), at + 1


class DnsServer:
    def __init__(self):
        self.lock, self.records, self.faults, self.asked, self.by_tcp = threading.Lock(), {}, {}, [], 0
        for _ in range(50):  # one number for both
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.tcp = socket.socket()
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            try:
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(64)
        self.address = f"127.0.0.1:{self.port}"
        for work in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=work, daemon=True).start()

    # --- what a test sets
    def set(self, name, kind, *values):
        """These are the name's records of that kind, and no others; none: it has none."""
        with self.lock:
            self.records[name.lower().rstrip("."), kind] = list(values)

    def add(self, name, kind, value):
        with self.lock:
            self.records.setdefault((name.lower().rstrip("."), kind), []).append(value)

    def remove(self, name, kind=None):
        with self.lock:
            for key in [k for k in self.records if k[0] == name.lower().rstrip(".") and kind in (None, k[1])]:
                del self.records[key]

    def fault(self, name, what):
        with self.lock:
            self.faults[name.lower()] = what

    def questions(self, name):
        """How often the name was asked for, whatever the type."""
        with self.lock:
            return sum(1 for n, _ in self.asked if n == name.lower())

    def close(self):
        self.udp.close()
        self.tcp.close()

    # --- answering
    def lookup(self, name, kind):
        """The name's own records, or those of "*." above it; None: there is no such name."""
        with self.lock:
            labels = name.split(".")
            for at in range(len(labels)):
                owner = name if at == 0 else "*." + ".".join(labels[at:])
                found = {k[1]: v for k, v in self.records.items() if k[0] == owner}
                if found:
                    return [v() if callable(v) else v for v in found.get(kind, [])], found.get("CNAME", [])
            if any(k[0].endswith("." + name) for k in self.records):
                return [], []  # an empty non-terminal
            return None

    def resolve(self, name, kind):
        answers = []
        for _ in range(16):
            found = self.lookup(name, kind)
            if found is None:
                return NXDOMAIN, answers
            values, alias = found
            if alias and kind != "CNAME":
                answers.append((name, "CNAME", alias[0]))
                name = alias[0].lower().rstrip(".")
                continue
            return NOERROR, answers + [(name, kind, v) for v in values]
        return NOERROR, answers  # a circle

    def reply(self, packet, tcp):
        ident, flags, questions, _, _, extra = struct.unpack(">6H", packet[:12])
        if questions != 1 or flags & 0x8000:
            return None
        name, end = read_name(packet, 12)
        number, _ = struct.unpack(">2H", packet[end:end + 4])
        kind = next((k for k, v in TYPES.items() if v == number), None)
        with self.lock:
            self.asked.append((name, kind or number))
            fault = self.faults.get(name)
            self.by_tcp += tcp
        if fault == "silent":
            return None
        if fault == "garbage":
            return struct.pack(">H", ident) + b"\xff" * 40
        status, answers = self.resolve(name, kind) if kind else (NOERROR, [])
        if fault in ("servfail", "refused"):
            status, answers = SERVFAIL if fault == "servfail" else REFUSED, []
        body = b""
        for owner, what, value in answers:
            data = encode(what, value)
            body += encode_name(owner) + struct.pack(">HHIH", TYPES[what], 1, 0, len(data)) + data
        soa = b""
        if not answers and status in (NOERROR, NXDOMAIN):
            data = encode_name("ns.invalid") + encode_name("root.invalid") + struct.pack(">5I", 1, 60, 60, 60, 0)
            zone = ".".join(name.split(".")[-1:])
            soa = encode_name(zone) + struct.pack(">HHIH", TYPES["SOA"], 1, 0, len(data)) + data
        opt = b"\0" + struct.pack(">HHIH", OPT, 1232, 0, 0) if extra else b""
        bits = 0x8580 | (flags & 0x0100) | status  # QR AA RA
        whole = packet[12:end + 4] + body + soa + opt
        if not tcp and (fault == "truncated" or len(whole) > (1220 if extra else 500)):
            bits |= 0x0200
            whole, answers, soa = packet[12:end + 4] + opt, [], b""
        return struct.pack(">6H", ident, bits, 1, len(answers), 1 if soa else 0, 1 if opt else 0) + whole

    def serve_udp(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            try:
                answer = self.reply(packet, False)
                if answer is not None:
                    self.udp.sendto(answer, peer)
            except (ValueError, IndexError, struct.error, UnicodeDecodeError, OSError):
                pass

    def serve_tcp(self):
        while True:
            try:
                link, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_link, args=(link,), daemon=True).start()

    def serve_link(self, link):
        link.settimeout(10)
        try:
            with link, link.makefile("rb") as lines:
                while True:
                    head = lines.read(2)
                    if len(head) != 2:
                        return
                    answer = self.reply(lines.read(struct.unpack(">H", head)[0]), True)
                    if answer is not None:
                        link.sendall(struct.pack(">H", len(answer)) + answer)
        except (ValueError, IndexError, struct.error, UnicodeDecodeError, OSError):
            pass
