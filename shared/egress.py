"""Which addresses may be called: the guard against requests to inner networks (SSRF).

Pure but for check_resolved. What a URL spells is judged when it is saved; what counts is
refusal(), asked again for the address that is connected to.
"""

import asyncio
import ipaddress
import re
import socket
import unicodedata
from urllib.parse import SplitResult, urlsplit

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network
type Networks = tuple[Network, ...]

URL_LENGTH_MAX = 2000
HEADER_LENGTH_MAX = 4096
NETWORKS_MAX = 64

# ipaddress.is_global is not asked: on Python 3.13 it is True for multicast, for 192.88.99.1 and for
# translated forms of 127.0.0.1.
_REFUSED_V4 = {
    "0.0.0.0/8": "this host",
    "10.0.0.0/8": "a private network",
    "100.64.0.0/10": "a carrier's inner network",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's platform service",
    "169.254.0.0/16": "link-local, where clouds keep their metadata",
    "172.16.0.0/12": "a private network",
    "192.0.0.0/24": "reserved for protocols",
    "192.0.2.0/24": "for documentation",
    "192.31.196.0/24": "an anycast sink of reverse DNS",
    "192.52.193.0/24": "a multicast relay",
    "192.88.99.0/24": "a 6to4 relay",
    "192.168.0.0/16": "a private network",
    "192.175.48.0/24": "an anycast sink of reverse DNS",
    "198.18.0.0/15": "for benchmarks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved or broadcast",
}
# Only 2000::/3 is given out as global unicast; these parts of it are not.
_REFUSED_V6 = {
    "2001::/23": "reserved for protocols, Teredo among them",
    "2001:db8::/32": "for documentation",
    "2002::/16": "6to4, which carries an IPv4 address",
    "2620:4f:8000::/48": "an anycast sink of reverse DNS",
    "3fff::/20": "for documentation",
}
_RANGES_V4 = [(ipaddress.IPv4Network(text), why) for text, why in _REFUSED_V4.items()]
_RANGES_V6 = [(ipaddress.IPv6Network(text), why) for text, why in _REFUSED_V6.items()]
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP_MARKS = (0x0000_5EFE, 0x0200_5EFE)

_LOWEST_FREE_PORT = 1024
_LAST_PORT = 65_535
_WEB_PORTS = {"http": 80, "https": 443}
# From 1024 on: what the fetch standard forbids browsers, and databases, brokers, caches,
# orchestrators and remote shells at their usual ports.
INNER_PORTS = frozenset({
    1080, 1099, 1433, 1434, 1521, 1719, 1720, 1723, 1883, 2049, 2181, 2375, 2376, 2379, 2380, 2888,
    3128, 3260, 3306, 3389, 3659, 3888, 4045, 4190, 4222, 4369, 5060, 5061, 5432, 5433, 5439, 5671,
    5672, 5900, 5901, 5984, 5985, 5986, 6000, 6379, 6380, 6432, 6443, 6566, 6665, 6666, 6667, 6668,
    6669, 6679, 6697, 7000, 7001, 7199, 7474, 7687, 8086, 8125, 8500, 8529, 8600, 9042, 9092,
    9093, 9094, 9095, 9096, 9160, 9200, 9300, 10080, 10250, 10255, 10256, 11211, 15672, 16379,
    19092, 26257, 26379, 27017, 27018, 27019, 28015, 29092,
})  # fmt: skip

_LOCAL_NAMES = ("localhost", "localdomain", "ip6-localhost", "ip6-loopback")
_INNER_SUFFIXES = ("internal", "local", "home.arpa", "intranet", "lan", "corp")
_METADATA_NAMES = (
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
)
# What IDNA takes for a dot.
_DOTS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61", "."))
_HOST_LENGTH_MAX = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SPOILS_A_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OWN_PREFIXES = ("webhook-", "proxy-", "x-oncely-")
_OWN_HEADERS = frozenset({
    "accept-encoding", "connection", "content-encoding", "content-length", "date", "expect", "host",
    "keep-alive", "te", "traceparent", "trailer", "transfer-encoding", "upgrade", "via",
})  # fmt: skip
_SPOILS_A_URL = re.compile(r"[\x00-\x20\x7f\\]")


def read_networks(text: str) -> Networks:
    """Read WEBHOOK_ALLOW_CIDRS; ValueError says what is wrong with which entry."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if len(entries) > NETWORKS_MAX:
        raise ValueError(f"{len(entries)} networks: at most {NETWORKS_MAX}")
    return tuple(_read_network(entry) for entry in entries)


def refusal(address: Address | str, allowed: Networks) -> str | None:
    """Why this address may not be called; None: it may. The allow list opens what it names."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"{address!s:.100} is not an address"
    inner = _unwrapped(found)
    if _is_in(found, allowed) or _is_in(inner, allowed):
        return None
    why = _why_refused(inner)
    if why is None:
        return None
    spelled = str(found) if inner == found else f"{found} (which is {inner})"
    return f"{spelled} is {why}"


def refusal_of_port(port: int) -> str | None:
    """Why nobody may be called at this port; None: it is 80, 443 or a high one without a name."""
    if port in _WEB_PORTS.values() or (
        _LOWEST_FREE_PORT <= port <= _LAST_PORT and port not in INNER_PORTS
    ):
        return None
    return f"port {port} is not for webhooks: use 443, 80 or one from 1024 without a known service"


def refusal_of_host(host: str, allowed: Networks = ()) -> str | None:
    """Why this host may not stand in a URL, in whichever form getaddrinfo would take it.

    A name that passes is judged by what it resolves to, at each connect.
    """
    name = _plain_host(host)
    if name is None:
        return f"{host[:100]!r} is not a host name"
    if ":" in name:
        return refusal(name, allowed)
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return _refusal_of_numbers(name, allowed)
    if not all(_LABEL.fullmatch(label) for label in name.split(".")):
        return f"{host[:100]!r} is not a host name"
    return _refusal_of_name(name, allowed)


def refusal_of_url(url: str, allowed: Networks = ()) -> str | None:
    """Why this URL may not be called, as far as its text tells; the first flaw."""
    if len(url) > URL_LENGTH_MAX:
        return f"longer than {URL_LENGTH_MAX} characters"
    if _SPOILS_A_URL.search(url):
        return "holds a space, a control character or a backslash: percent-encode it"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"not a URL: {error}"
    if port is None:
        port = _WEB_PORTS.get(parts.scheme, 0)
    return (
        _refusal_of_parts(url, parts)
        or refusal_of_port(port)
        or refusal_of_host(parts.hostname or "", allowed)
    )


def refusal_of_header(name: str, value: str) -> str | None:
    """Why a webhook may not carry this header: what frames the request or says who sent it is ours.

    aiohttp would refuse line breaks as well; this is said at save.
    """
    if not _HEADER_NAME.fullmatch(name):
        return f"{name[:100]!r} is not a header name"
    if name.lower() in _OWN_HEADERS or name.lower().startswith(_OWN_PREFIXES):
        return f"{name} is set by the sender"
    if len(value) > HEADER_LENGTH_MAX:
        return f"{name} is longer than {HEADER_LENGTH_MAX} characters"
    if _SPOILS_A_HEADER.search(value) or value != value.strip():
        return f"{name} holds a line break or control character, or begins or ends with a space"
    return None


def _refusal_of_parts(url: str, parts: SplitResult) -> str | None:
    if parts.scheme not in _WEB_PORTS:
        return "must start with https:// or http://"
    if "@" in parts.netloc:
        return "holds a user or password: send them as a header of the target"
    if not parts.hostname:
        return "names no host"
    if "#" in url:
        return "holds a fragment (#...), which is never sent"
    return None


async def check_resolved(
    host: str, port: int, allowed: Networks, timeout_seconds: float
) -> str | None:
    """Why the host may not be called by what it resolves to now; a mixed answer is refused.

    A name that does not resolve (yet) passes: it is judged again at each connect.
    """
    spelled = refusal_of_host(host, allowed)
    if spelled is not None:
        return spelled
    name = _plain_host(host)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_seconds):
            found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return None
    return refusal_of_answer(host, [str(info[4][0]) for info in found], allowed)


def refusal_of_answer(host: str, addresses: list[str], allowed: Networks) -> str | None:
    """Why what a name resolved to may not be called: one refused address spoils all."""
    why = next((why for address in addresses if (why := refusal(address, allowed))), None)
    return f"{host} leads to an inner address: {why}" if why else None


def _read_network(entry: str) -> Network:
    try:
        network = ipaddress.ip_network(entry)
    except ValueError:
        raise ValueError(_what_is_wrong(entry)) from None
    if network.prefixlen == 0:
        raise ValueError(f"{entry!r} would open everything: name the networks that are meant")
    return network


def _what_is_wrong(entry: str) -> str:
    try:
        loose = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return f"{entry[:100]!r} is not a network: write it as 10.0.0.0/8 or fd00::/8"
    return f"{entry!r} has bits outside its prefix: did you mean {loose}?"


def _is_in(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that is reached through a mapped or translated IPv6 one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _why_refused(address: Address) -> str | None:
    if isinstance(address, ipaddress.IPv4Address):
        return next((why for network, why in _RANGES_V4 if address in network), None)
    if address.scope_id is not None or address not in _GLOBAL_V6:
        return "not a global address"
    if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP_MARKS:
        return "ISATAP, which carries an IPv4 address"
    return next((why for network, why in _RANGES_V6 if address in network), None)


def _plain_host(host: str) -> str | None:
    """The host as the resolver will read it: digits, dots and letters made plain."""
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1].lower() if ":" in host else None
    name = unicodedata.normalize("NFKC", host).translate(_DOTS).lower()
    if not name.isascii():
        try:
            # What IDNA maps to nothing (soft hyphen, zero width) must not hide a number.
            name = name.encode("idna").decode("ascii").lower()
        except UnicodeError:
            return None
    if ":" in name:
        return name
    name = name.removesuffix(".")
    return name if 0 < len(name) <= _HOST_LENGTH_MAX else None


def _refusal_of_numbers(name: str, allowed: Networks) -> str | None:
    """Judge a host that ends in a number: it is an IPv4 address in one of its old forms, or
    nothing. Only the plain form is taken, so that no two readers can differ.
    """
    try:
        meant = ipaddress.IPv4Address(socket.inet_aton(name))
    except OSError:
        return f"{name!r} ends in a number and is not an IPv4 address"
    if name != str(meant):
        return f"{name!r} is an odd form of {meant}: write it as that"
    return refusal(meant, allowed)


def _refusal_of_name(name: str, allowed: Networks) -> str | None:
    if name in _METADATA_NAMES:
        return f"{name!r} is a cloud's metadata service"
    last = name.rpartition(".")[2]
    inner = last in _LOCAL_NAMES or any(
        name == suffix or name.endswith(f".{suffix}") for suffix in _INNER_SUFFIXES
    )
    # With an allow list inner names are of use: what they resolve to decides.
    return f"{name!r} is a name of an inner network" if inner and not allowed else None
