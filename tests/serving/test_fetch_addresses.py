"""What is a URL, and which addresses are nobody's but the public's."""

import pytest
from support.asyncs import in_own_loop

from cgrseg.errors import FetchError
from cgrseg.serving.fetch import Target, is_public, parse_url, resolve

INSIDE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "192.0.0.170", "192.0.2.1", "198.18.0.1", "192.88.99.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "2002:7f00:1::1"),
    *("2002:5db8:d70e::1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::808:808", "2001:0:5db8::1", "2001:db8::1"),
    *("3fff::1", "100::1", "5f00::1", "not an address", ""),
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_of_a_network_or_of_no_host_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_an_address_of_a_host_of_the_internet_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "017700000001", "0x7f.1", "0177.0.0.1", "127.1", "0", "localhost"]
)
def test_other_ways_to_write_this_machine_are_seen_through(host):
    """Whatever the resolver makes of a name is what is judged."""
    try:
        found = in_own_loop(resolve(parse_url(f"http://{host}/").host, 80))
    except OSError:
        return  # not an address to this system, either

    assert not any(is_public(endpoint.address) for endpoint in found)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a.example/b.jpg?c=d@e#f", Target("https", "a.example", 443, "/b.jpg?c=d@e")),
        ("HTTP://A.example", Target("http", "a.example", 80, "/")),
        ("http://a.example:80?b", Target("http", "a.example", 80, "/?b")),
        ("https://[2606:4700::1111]:443/", Target("https", "2606:4700::1111", 443, "/")),
    ],
)
def test_a_url_has_four_parts(url, target):
    assert parse_url(url) == target


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://a.example/b.jpg", "https://host/image.jpg"),
        ("file:///etc/passwd", "https://host/image.jpg"),
        ("//a.example/", "https://host/image.jpg"),
        ("https:///b.jpg", "https://host/image.jpg"),
        ("https://a.example/b c.jpg", "percent-encoded"),
        ("https://a.example/\r\nHost: b", "percent-encoded"),
        ("https://münchen.example/", "ASCII"),
        ("https://a.example\\@b.example/", "user or a password"),
        ("https://user:word@a.example/", "user or a password"),
        ("https://a.example:8443/", "port 8443"),
        ("http://a.example:22/", "port 22"),
        ("https://a.example/" + "a" * 9000, "https://host/image.jpg"),
        ("", "https://host/image.jpg"),
    ],
)
def test_an_invalid_url_is_rejected_with_the_reason(url, words):
    with pytest.raises(FetchError, match=words):
        parse_url(url)
