"""The next hop is reached on every event loop that `gatekeeper serve` runs on: asyncio's own, and uvloop's."""

import asyncio

import pytest

from tests.delivery.conftest import Hop
from tests.peers.certificates import make_certificate
from tests.peers.sink import Sink


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request):
    return pytest.importorskip(request.param).new_event_loop


@pytest.mark.parametrize("scheme", ["smtp", "smtp+starttls"])
def test_a_message_goes_on(new_loop, scheme, tmp_path):
    certificate = make_certificate(tmp_path)

    async def send_one():
        async with Sink(certificate=certificate) as sink:
            hop = Hop(f"{scheme}://127.0.0.1:{sink.port}?ca={certificate.certificate}")
            answers, final = await hop.send()
            await hop.next_hop.close()
            return answers[0].code, final.code, sink.mails[0].tls

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(send_one()) == (250, 250, scheme == "smtp+starttls")
