"""Images fetched from a host on this machine, that stands for hosts of the Internet and for what lies inside."""

import gzip
import ssl
import subprocess

import pytest
from support.asyncs import in_own_loop
from support.upstream import HOST, PUBLIC, answer, upstream

from cgrseg.errors import FetchError, TooLargeError

URL = f"http://{HOST}/a.jpg?b=c"


def fetch(fetcher, url: str = URL, most_bytes: int = 1000) -> bytes:
    return in_own_loop(fetcher.fetch(url, most_bytes))


def test_what_is_at_a_url_comes_and_the_host_is_asked_by_its_name():
    with upstream(answer(b"picture")) as host:
        assert fetch(host.fetcher()) == b"picture"

        lines = host.asked[0].decode().split("\r\n")
        assert lines[0] == "GET /a.jpg?b=c HTTP/1.1"
        assert f"Host: {HOST}" in lines
        assert not [line for line in lines if line.lower().startswith(("cookie", "authorization"))]


@pytest.mark.parametrize(
    "body",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npict\r\n3\r\nure\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\npicture",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npicture and more",
    ],
    ids=["chunks", "until it ends", "hints first"],
)
def test_a_body_may_come_in_any_way(body):
    with upstream(body) as host:
        assert fetch(host.fetcher()) == b"picture"


@pytest.mark.parametrize("addresses", [["10.0.0.1"], [PUBLIC, "127.0.0.1"], ["::ffff:169.254.169.254"], []])
def test_a_host_with_an_address_inside_is_not_connected_to(addresses):
    with upstream(answer(b"secret")) as host:
        with pytest.raises(FetchError, match="no public address"):
            fetch(host.fetcher(addresses))

        assert host.asked == []


def test_a_host_is_resolved_once_and_what_was_looked_at_is_what_is_connected_to():
    with upstream(answer(b"picture")) as host:
        fetcher = host.fetcher([PUBLIC], ["127.0.0.1"])

        assert fetch(fetcher) == b"picture"
        with pytest.raises(FetchError, match="no public address"):
            fetch(fetcher)  # a second question gets the second answer
        assert len(host.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(status):
    with upstream(answer(status=f"{status} Moved", Location="/d.jpg"), answer(b"picture")) as host:
        assert fetch(host.fetcher()) == b"picture"
        assert host.asked[1].startswith(b"GET /d.jpg HTTP/1.1")


def test_a_redirect_to_an_address_inside_is_refused():
    with upstream(answer(status="302 Found", Location="http://inside.example/"), answer(b"secret")) as host:
        with pytest.raises(FetchError, match=r"inside\.example has no public address"):
            fetch(host.fetcher([PUBLIC], ["192.168.0.1"]))

        assert len(host.asked) == 1


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://a:b@c.example/", "https://d.example:8443/", "http://[/", "gopher://x/"]
)
def test_a_redirect_leads_only_where_a_url_may(location):
    with (
        upstream(answer(status="302 Found", Location=location), answer(b"secret")) as host,
        pytest.raises(FetchError),
    ):
        fetch(host.fetcher())


def test_redirects_in_a_circle_end():
    with upstream(answer(status="302 Found", Location="/")) as host:
        with pytest.raises(FetchError, match="more than 3 redirects"):
            fetch(host.fetcher())

        assert len(host.asked) == 4


@pytest.mark.parametrize(
    "body",
    [answer(bytes(1001)), b"HTTP/1.1 200 OK\r\n\r\n" + bytes(5000), answer(Content_Length="99999999999")],
    ids=["by its length", "by what comes", "by what is claimed"],
)
def test_what_is_too_large_is_given_up(body):
    with upstream(body) as host, pytest.raises(FetchError, match="1,000 bytes") as refused:
        fetch(host.fetcher())

    assert isinstance(refused.value, TooLargeError)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (answer(status="404 Not Found"), "answered 404"),
        (answer(status="500 Oh"), "answered 500"),
        (answer(gzip.compress(b"picture"), Content_Encoding="gzip"), "compressed"),
        (answer(b"pic", Content_Length=7), "incomplete response"),
        (b"SSH-2.0-OpenSSH\r\n", "invalid or incomplete response"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "invalid or incomplete response"),
        (b"", "invalid or incomplete response"),
    ],
    ids=["404", "500", "gzip", "cut", "ssh", "endless header", "nothing"],
)
def test_what_is_no_image_is_one_sentence(body, words):
    with upstream(body) as host, pytest.raises(FetchError, match=words):
        fetch(host.fetcher())


def test_nobody_there_is_one_sentence():
    with upstream(answer()) as host:
        fetcher = host.fetcher()

    with pytest.raises(FetchError, match="cannot be reached"):
        fetch(fetcher)


def test_a_proxy_in_the_environment_is_not_heeded(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with upstream(answer(b"picture")) as host:
        assert fetch(host.fetcher()) == b"picture"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for the host, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    asked = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    named = ["-keyout", "key.pem", "-out", "cert.pem", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    subprocess.run([*asked, *named], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_a_certificate_is_the_hosts_by_its_name_though_it_is_connected_to_by_its_address(certificate):
    serves, trusts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    serves.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    trusts.load_verify_locations(certificate / "cert.pem")
    names = []
    serves.sni_callback = lambda connection, name, context: names.append(name)

    with upstream(answer(b"picture"), tls=serves) as host:
        assert fetch(host.fetcher(tls=lambda: trusts), f"https://{HOST}/") == b"picture"
        with pytest.raises(FetchError, match="cannot be reached by https"):
            fetch(host.fetcher(tls=lambda: trusts), "https://another.example/")
        with pytest.raises(FetchError, match="cannot be reached by https"):
            fetch(host.fetcher(), f"https://{HOST}/")  # nobody vouches for it
    assert names[:2] == [HOST, "another.example"]
