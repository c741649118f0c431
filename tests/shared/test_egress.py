import asyncio
import ipaddress
import random
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared import egress


def wide(text: str) -> str:
    """The same letters and digits at full width, which NFKC turns back."""
    return "".join(chr(ord(c) + 0xFEE0) if c != "." else c for c in text)


LOOPBACK = egress.read_networks("127.0.0.0/8,::1/128")

# As an address; each would reach an inner network, a translator or nobody.
INNER_ADDRESSES = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
    "100.127.255.255", "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254",
    "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:0:7f00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "100::1",
    "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::1", "2002:a00:1::", "2002:0808:0808::1", "2620:4f:8000::1", "3fff::1", "4000::1",
    "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "ff0e::1", "2600::5efe:7f00:1", "2600::200:5efe:a00:1",
]  # fmt: skip
PUBLIC_ADDRESSES = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "172.15.255.255", "172.32.0.0", "192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
]  # fmt: skip
# As the host of a URL: what getaddrinfo, a browser or IDNA would read as an inner address.
INNER_HOSTS = [
    "127.0.0.1", "127.1", "127.0.1", "0x7f000001", "0x7f.1", "0X7F.0.0.1", "2130706433",
    "017700000001", "0177.0.0.1", "127.0.0.1.", "127.1.", "0", "0x0", "00000000000", "1", "010.1",
    "[::1]", "::1", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1%25eth0]",
    "[fe80::1%eth0]", "fe80::1%lo", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]",
    "①②⑦.⓪.⓪.①", wide("127.0.0.1"), "127。0。0。1", "127\uff0e0\uff0e0\uff0e1", "127｡0｡0｡1",
    "⑫7.1", wide("localhost"), "ⓛocalhost",
    "127.0.0.\u00ad1", "127\u200b.0.0.1", "0\u2060x7f000001",
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "a.b.LocalHost.",
    "localhost.localdomain",
    "ip6-localhost", "ip6-loopback", "metadata.google.internal", "metadata.google.internal.",
    "metadata", "instance-data", "metadata.goog", "db.internal", "printer.local", "nas.home.arpa",
    "169.254.169.254", "2852039166", "0xa9fea9fe", "[fd00:ec2::254]", "10.0.0.1", "192.168.0.1",
    "256.256.256.256", "1.2.3.4.5", "0x100000000", "4294967296", "1.2.3.0x", "a.1", "a.0x1",
]  # fmt: skip
NO_HOSTS = [
    "", ".", "..", "a..b", "-a.com", "a-.com", "a b", "a\x00b", "a\nb", "a/b", "a@b", "a?b", "a#b",
    "a\\b", "a%00b", "%31%32%37.0.0.1", "[", "[]", "[::1", "::1]", "[:::1]", "[v1.a]",
    "a" * 64 + ".com",
    ".".join(["a" * 60] * 5), "*.example.com", "a,b", "\ud800", "[127.0.0.1]",
]  # fmt: skip
REFUSED_URLS = [
    "", "a", "//example.com/", "file:///etc/passwd", "gopher://example.com/", "ftp://example.com/",
    "javascript:1", "data:,a", "http:example.com", "http:/example.com", "http://", "https:///a",
    "http://user@example.com/", "http://user:pass@example.com/", "http://@example.com/",
    "http://example.com@127.0.0.1/", "http://127.0.0.1#@example.com/", "http://example.com/#a",
    "http://127.0.0.1\\@example.com/", "http://example.com\\.test/", "http://example.com/\r\nX: 1",
    "http://example.com/a b", "http://example.com/\x00", "http://exa\tmple.com/", " http://example.com/",
    "http://example.com:22/", "http://example.com:25/", "http://example.com:9092/",
    "http://example.com:5432/", "http://example.com:6379/", "http://example.com:0/",
    "http://example.com:65536/", "http://example.com:-1/", "http://example.com:a/",
    "http://127.1/", "http://[::]/", "http://2130706433/", "http://0x7f.1:8080/", "https://localhost/",
    "http://[::ffff:127.0.0.1]:8080/", "http://①②⑦.⓪.⓪.①/", "http://" + "a." * 1000 + "com/",
    "http://example.com/" + "a" * 2000, "http://[::1/", "http://[::1]a/", "http://a[::1]/",
]  # fmt: skip


@pytest.mark.parametrize("address", INNER_ADDRESSES)
def test_an_inner_address_is_refused(address: str) -> None:
    assert egress.refusal(address, ())


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert egress.refusal(address, ()) is None


@pytest.mark.parametrize("host", INNER_HOSTS)
def test_every_form_of_an_inner_address_is_refused(host: str) -> None:
    assert egress.refusal_of_host(host)


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_refused(host: str) -> None:
    assert egress.refusal_of_host(host)
    assert egress.refusal_of_host(host, LOOPBACK)


@pytest.mark.parametrize(
    "host",
    ["example.com", "EXAMPLE.com.", "a.b.example.co.uk", "bücher.example", "xn--bcher-kva.example",
     "8.8.8.8", "[2606:4700::1111]", "a_b.example.com", "1e100.net", "0x.example.com", "kafka",
     "localhost.example.com", "internal.example.com"],
)  # fmt: skip
def test_a_name_of_the_outer_world_passes(host: str) -> None:
    assert egress.refusal_of_host(host) is None


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_could_reach_inside_is_refused(url: str) -> None:
    assert egress.refusal_of_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://example.com", "https://example.com/a?b=c&d=%23", "http://example.com:8080/",
     "HTTPS://Example.COM/", "https://bücher.example/ü", "https://[2606:4700::1111]:8443/a"],
)  # fmt: skip
def test_a_url_of_the_outer_world_passes(url: str) -> None:
    assert egress.refusal_of_url(url) is None


def test_the_allow_list_opens_exactly_what_it_names() -> None:
    allowed = egress.read_networks("10.1.0.0/16, 127.0.0.1")
    assert egress.refusal("10.1.2.3", allowed) is None
    assert egress.refusal("::ffff:10.1.2.3", allowed) is None
    assert egress.refusal("10.2.0.1", allowed)
    assert egress.refusal("127.0.0.2", allowed)
    assert egress.refusal("::1", allowed)
    assert egress.refusal_of_host("localhost", allowed) is None  # what it resolves to decides
    assert egress.refusal_of_host("127.1", allowed)  # an odd form stays refused
    assert egress.refusal_of_host("metadata.google.internal", allowed)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("::1/64", "did you mean ::/64?"),
        ("10.0.0.0/33", "is not a network"),
        ("localhost", "is not a network"),
        ("10.0.0.0/8;::1", "is not a network"),
        ("0.0.0.0/0", "would open everything"),
        ("::/0", "would open everything"),
        (",".join(["10.0.0.0/8"] * 65), "at most 64"),
    ],
)
def test_a_wrong_allow_list_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("?", r"\?")):
        egress.read_networks(text)


def test_an_allow_list_is_read_with_spaces_and_single_addresses() -> None:
    assert egress.read_networks("") == ()
    assert [
        str(network) for network in egress.read_networks(" 10.0.0.0/8 ,::1,, 127.0.0.1/32 ")
    ] == [
        "10.0.0.0/8",
        "::1/128",
        "127.0.0.1/32",
    ]


@pytest.mark.parametrize("port", [80, 443, 1024, 3000, 8080, 8443, 65_535])
def test_a_port_of_the_web_passes(port: int) -> None:
    assert egress.refusal_of_port(port) is None


@pytest.mark.parametrize(
    "port", [-1, 0, 22, 25, 53, 81, 1023, 2375, 3306, 5432, 6379, 9092, 9200, 65_536]
)
def test_a_port_of_an_inner_service_is_refused(port: int) -> None:
    assert egress.refusal_of_port(port)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Host", "a"), ("content-length", "1"), ("Transfer-Encoding", "chunked"),
     ("connection", "close"), ("webhook-id", "a"), ("Webhook-Signature", "v1,"),
     ("traceparent", "a"), ("proxy-authorization", "a"), ("", "a"), ("a b", "a"), ("a:", "a"),
     ("a\r\nb", "c"), ("ä", "a"), ("x", "a\r\nb: c"), ("x", "a\nb"), ("x", "a\x00"),
     ("x", "\x1b[31m"), ("x", " a"), ("x", "a\t"), ("x", "a" * 5000), ("x" * 101, "a")],
)  # fmt: skip
def test_a_header_that_frames_the_request_or_breaks_it_is_refused(name: str, value: str) -> None:
    assert egress.refusal_of_header(name, value)


def test_other_headers_pass() -> None:
    for name, value in [("Authorization", "Bearer a"), ("x-a", ""), ("content-type", "a/b; c=d")]:
        assert egress.refusal_of_header(name, value) is None


def test_a_name_with_any_refused_address_is_refused_at_save() -> None:
    async def check(host: str, allowed: egress.Networks = ()) -> str | None:
        return await egress.check_resolved(host, 443, allowed, 2.0)

    assert asyncio.run(check("127.0.0.1")) is not None
    assert asyncio.run(check("127.0.0.1", LOOPBACK)) is None
    assert asyncio.run(check("localhost")) is not None
    assert asyncio.run(check("localhost", LOOPBACK)) is None
    assert asyncio.run(check("localhost", egress.read_networks("10.0.0.0/8"))) is not None
    assert asyncio.run(check("does-not-exist.invalid")) is None  # judged when it is called
    assert egress.refusal_of_answer("example.com", ["8.8.8.8", "10.0.0.1"], ())
    assert egress.refusal_of_answer("example.com", ["2606:4700::1111", "::1"], ())
    assert egress.refusal_of_answer("example.com", ["8.8.8.8", "2606:4700::1111"], ()) is None


def _as_getaddrinfo_reads(host: str) -> list[str]:
    """What the platform takes for an address without asking anybody; [] for a name."""
    try:
        found = socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError, ValueError):
        return []
    return [str(info[4][0]) for info in found]


PARTS = st.sampled_from([
    "0", "1", "127", "0x7f", "0177", "7f", "x", "0x", "00", "255", "256", "10", "①", "\uff11",
    "2130706433", "a", "%", "lo", "ffff", "\u00ad",
])  # fmt: skip


@settings(max_examples=600, deadline=None)
@example(parts=["127", ".", "1"], end=".", bracket=False)
@given(
    parts=st.lists(PARTS | st.sampled_from([".", "。", ":", "::"]), min_size=1, max_size=9),
    end=st.sampled_from(["", ".", " "]),
    bracket=st.booleans(),
)
def test_whatever_the_platform_reads_as_an_inner_address_is_refused(
    parts: list[str], end: str, *, bracket: bool
) -> None:
    host = "".join(parts) + end
    inner = [address for address in _as_getaddrinfo_reads(host) if egress.refusal(address, ())]
    if inner:
        assert egress.refusal_of_host(f"[{host}]" if bracket else host), inner


def test_every_spelling_of_random_inner_addresses_is_refused() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(500):
        network = ipaddress.ip_network(rng.choice(["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16"]))
        number = int(network[0]) + rng.randrange(network.num_addresses)
        a, b, c, d = number.to_bytes(4)
        spelled = rng.choice([
            f"{number}", f"{number:#x}", f"0{number:o}", f"{a}.{number & 0xFFFFFF}",
            f"{a}.{b}.{c << 8 | d}", f"{a:#x}.0{b:o}.{c}.{d:#x}", f"0{a:o}.{b}.{c}.{d}",
            f"[::ffff:{a}.{b}.{c}.{d}]", f"[64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}]",
            f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::1]",
        ])  # fmt: skip
        assert egress.refusal_of_host(spelled), spelled
