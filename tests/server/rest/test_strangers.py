"""Requests of unusual clients: compressed, cut short, spelled differently, from other web pages, malformed."""

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request

from foldserve_server.config.transport_options import TransportOptions
from foldserve_server.errors import DeadlineExceeded
from foldserve_server.rest import request_body
from foldserve_server.rest.decompression import CHUNK_BYTES, decoder_for
from foldserve_server.security.admission import AdmissionGate
from tests.server.fakes import FakeEngine, serving

from .calls import Caller, listening

PATH = "/v1/models/m:predict"
ROWS = b'{"instances": [[1, 2]]}'


def send(content: bytes, path: str = PATH, **headers: str) -> tuple[int, Any]:
    async def scenario() -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            listening(serving(FakeEngine())) as caller,
            caller.session.post(path, data=io.BytesIO(content), headers=named) as response,
        ):
            return response.status, await response.json()

    return asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"])
def test_the_content_type_does_not_matter(kind: str) -> None:
    assert send(ROWS, content_type=kind) == (200, {"predictions": [[2.0, 4.0]]})


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_bodies_may_be_compressed(coding: str, pack: Any) -> None:
    assert send(pack(ROWS), content_encoding=coding)[0] == 200
    status, answer = send(b"not packed at all", content_encoding=coding)
    assert status == 400 and "the body cannot be read" in answer["error"]


def raw_deflate(content: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(content) + packing.flush()


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        ("GZIP", gzip.compress(ROWS, mtime=0)),
        ("x-gzip", gzip.compress(ROWS, mtime=0)),
        ("gzip", gzip.compress(ROWS[:9], mtime=0) + gzip.compress(ROWS[9:], mtime=0)),
        ("deflate", raw_deflate(ROWS)),
        ("identity", ROWS),
        ("", ROWS),
    ],
)
def test_every_spelling_of_a_coding_is_accepted(coding: str, content: bytes) -> None:
    assert send(content, content_encoding=coding) == (200, {"predictions": [[2.0, 4.0]]})


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "aes128gcm", "gzip, gzip"])
def test_an_unsupported_coding_is_refused_with_json(coding: str) -> None:
    status, answer = send(ROWS, content_encoding=coding)
    assert status == 415 and answer["error"].startswith(f"Content-Encoding '{coding}' is not understood; send gzip")


PACKED = gzip.compress(ROWS, mtime=0)


@pytest.mark.parametrize("spoiled", [PACKED[:-9], PACKED + b"more", PACKED[1:]])
async def test_a_damaged_compressed_body_is_refused(spoiled: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(serving(FakeEngine())) as caller:
        for content, status in ((spoiled, 400), (PACKED, 200)):
            headers = {"Content-Encoding": "gzip"}
            async with caller.session.post(PATH, data=io.BytesIO(content), headers=headers) as response:
                assert (response.status == status and "error" in await response.json()) or status == 200
    assert not caplog.records, "the caller's error is not logged, and the connection goes on"


@pytest.mark.parametrize("more", range(0, 600, 30))
def test_a_body_without_a_trailer_is_read_to_its_end(more: int) -> None:
    size = CHUNK_BYTES + more
    pieces = decoder_for("deflate")
    assert sum(map(len, pieces.feed(raw_deflate(bytes(size))))) == size
    pieces.finish()


async def test_a_body_of_empty_members_is_limited_like_any_other() -> None:
    async with listening(serving(FakeEngine()), transport=TransportOptions(max_message_bytes=10_000)) as caller:
        nothing = io.BytesIO(gzip.compress(b"") * 1_000)
        async with caller.session.post(PATH, data=nothing, headers={"Content-Encoding": "gzip"}) as response:
            assert response.status == 413


def test_a_body_is_decompressed_in_small_chunks() -> None:
    packed = gzip.compress(bytes(5 * CHUNK_BYTES))
    pieces = list(decoder_for("gzip").feed(packed))
    assert max(map(len, pieces)) <= CHUNK_BYTES and sum(map(len, pieces)) == 5 * CHUNK_BYTES


def test_paths_are_case_insensitive_as_in_tensorflow_serving() -> None:
    assert send(ROWS, "/V1/MODELS/m:PREDICT")[0] == 200
    assert send(ROWS, "/v1/models/m/Versions/1:predict")[0] == 200


def test_a_number_that_no_double_holds_is_not_infinity() -> None:
    status, answer = send(b'{"instances": [[1e999, 2]]}')
    assert status == 400 and "Number too big to be stored in double" in answer["error"]
    assert send(b'{"instances": [[Infinity, 1e-999]]}')[0] == 200


async def test_other_web_pages_may_send_requests_where_cors_is_on() -> None:
    async with listening(serving(FakeEngine()), transport=TransportOptions(cors=True)) as caller:
        async with caller.session.options(PATH) as response:
            assert response.status == 200 and response.headers["Access-Control-Allow-Methods"] == "POST, GET"
            assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        for content in (ROWS, b"{"):
            async with caller.session.post(PATH, data=io.BytesIO(content)) as response:
                assert response.headers["Access-Control-Allow-Origin"] == "*"
    async with listening(serving(FakeEngine())) as caller, caller.session.options(PATH) as response:
        assert response.status == 400 and "Access-Control-Allow-Origin" not in response.headers


async def slowly(content: bytes, held: asyncio.Event) -> AsyncIterator[bytes]:
    """Yields all but the last byte, and that one after `held` is set."""
    yield content[:-1]
    await held.wait()
    yield content[-1:]


async def test_a_body_of_unannounced_size_is_counted_as_it_arrives() -> None:
    transport = TransportOptions(max_message_bytes=1000, max_inflight_bytes=1500)
    async with listening(serving(FakeEngine()), transport=transport) as caller:
        held, body = asyncio.Event(), ROWS + b" " * 900

        async def send(content: Any, **headers: str) -> int:
            async with caller.session.post(PATH, data=content, headers=headers) as response:
                return response.status

        first = asyncio.ensure_future(send(slowly(body, held)))
        while caller.http.admission_gate.inflight_bytes < 900:
            await asyncio.sleep(0)
        packed = {"Content-Encoding": "gzip"}
        assert await send(io.BytesIO(gzip.compress(body)), **packed) == 503, (
            "small as it arrives, and large once decompressed"
        )
        assert await send(io.BytesIO(ROWS)) == 200
        held.set()
        assert await first == 200
        assert await send(io.BytesIO(gzip.compress(body)), **packed) == 200
        assert await send(slowly(b" " * 1001, held)) == 413


async def raw(caller: Caller, content: bytes) -> bytes:
    """The first bytes of the answer to a connection that sends these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", caller.http.port)
    writer.write(content)
    try:
        return await asyncio.wait_for(reader.read(1000), 10)
    finally:
        writer.close()


def head(size: int) -> bytes:
    return f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


async def test_a_connection_without_a_request_is_closed() -> None:
    async with listening(serving(FakeEngine())) as caller:
        pairs = [await asyncio.open_connection("127.0.0.1", caller.http.port) for _ in range(3)]
        (silent, _), (partial, _), (asking, ask) = pairs
        pairs[1][1].write(b"POST /v1/models/m HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        ask.write(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in await asking.readline()
        caller.http.idle_timeout.check(1000)
        caller.http.idle_timeout.check(1000 + request_body.STALLED_S - 1)
        assert not silent.at_eof() and not partial.at_eof()
        caller.http.idle_timeout.check(1000 + request_body.STALLED_S)
        assert await silent.read() == await partial.read() == b""
        ask.write(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await asking.read()).count(b'{"live":true}') == 2, "a connection with requests stays"
        for _, writer in pairs:
            writer.close()


async def test_an_announced_size_above_the_limit_does_not_keep_others_out() -> None:
    transport = TransportOptions(max_message_bytes=1000, max_inflight_bytes=1500)
    async with listening(serving(FakeEngine()), transport=transport) as caller:
        assert b" 413 " in await raw(caller, head(10**12) + b"{")
        assert caller.http.admission_gate.inflight_bytes == 0
        async with caller.session.post(PATH, data=io.BytesIO(ROWS)) as response:
            assert response.status == 200 and response.headers["Server"] == "foldserve"


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    with AdmissionGate().admit(5) as admission:
        request_body.set_admission(admission)
        request = make_mocked_request("POST", PATH, payload=cast(Any, StalledBody()))
        with pytest.raises(DeadlineExceeded, match="nothing of the body came"):
            await request_body.read_body(request, stalled_s=0)


class StalledBody:
    """A body of which no byte arrives."""

    async def readany(self) -> bytes:
        await asyncio.Event().wait()
        return b""


@pytest.mark.parametrize("nonsense", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000])
async def test_bytes_that_are_not_http_are_logged_without_a_traceback(
    nonsense: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(serving(FakeEngine())) as caller:
        await raw(caller, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 400 " in await raw(caller, nonsense)
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]
