"""--rcpt trust: the gate answers RCPT, and asks the next hop about all of them at DATA, before the content."""

from __future__ import annotations

import pytest

from gatekeeper.model import Recipient, Refusal
from tests.peers.sink import Sink, close, say
from tests.server.talking import Client, open_door

NAMES = [f"u{number}@example.org" for number in range(700)]
GONE = {"gone@example.org": "550 5.1.1 no such user", "busy@example.org": "450 4.2.0 busy"}
TAKEN = "250 2.0.0 taken"


async def begin(client: Client, *recipients: str) -> str:
    """The reply to DATA; each recipient is taken before."""
    await client.ask("EHLO client.example.gov")
    client.say("MAIL FROM:<a@doa.example.gov>\r\n" + "".join(f"RCPT TO:<{each}>\r\n" for each in recipients))
    assert {reply[:3] for reply in await client.replies(1 + len(recipients))} == {"250"}
    return await client.ask("DATA")


@pytest.mark.parametrize("messages", [1, 3])
async def test_the_next_hop_is_asked_about_all_at_data(messages: int) -> None:
    async with open_door(rcpt="trust") as door:
        client = await door.client()
        for _ in range(messages):
            before = dict(door.sink.commands)
            assert (await begin(client, *NAMES)).startswith("354")
            assert door.sink.commands["RCPT"] - before.get("RCPT", 0) == len(NAMES)
            assert await client.ask(b"x\r\n.\r\n") == TAKEN
        assert [address for address, _ in door.sink.mails[-1].recipients] == NAMES
        assert len(door.sink.mails) == messages


async def test_nothing_is_asked_before_data() -> None:
    async with open_door(rcpt="trust") as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        assert await client.ask("MAIL FROM:<a@doa.example.gov>") == "250 2.1.0 sender ok"
        assert await client.ask("RCPT TO:<b@example.org>") == "250 2.1.5 recipient ok"
        assert (await client.ask("RSET")).startswith("250")
        assert (await client.ask("QUIT")).startswith("221")
        assert door.sink.commands["MAIL"] == door.sink.commands["RCPT"] == 0


async def test_who_is_refused_for_good_is_left_behind_and_named() -> None:
    async with open_door(Sink(refuse=dict(GONE)), rcpt="trust") as door:
        client = await door.client()
        assert (await begin(client, "b@example.org", "gone@example.org", "c@example.org")).startswith("354")
        assert await client.ask(b"x\r\n.\r\n") == TAKEN
        (seen,) = door.pipeline.seen
        assert [each.address for each in seen.recipients] == door.sink.recipients == ["b@example.org", "c@example.org"]
        assert seen.refused == (Refusal(Recipient("gone@example.org"), GONE["gone@example.org"]),)


@pytest.mark.parametrize("recipients", [["gone@example.org"], ["gone@example.org", "gone@example.org"]])
async def test_where_all_are_refused_so_is_data(recipients: list[str]) -> None:
    async with open_door(Sink(refuse=dict(GONE)), rcpt="trust") as door:
        client = await door.client()
        assert await begin(client, *recipients) == GONE["gone@example.org"]
        assert (await begin(client, "b@example.org")).startswith("354")
        assert await client.ask(b"x\r\n.\r\n") == TAKEN
        assert len(door.sink.mails) == 1


async def test_who_is_refused_for_now_is_tried_again_by_the_client_with_all_others() -> None:
    async with open_door(Sink(refuse=dict(GONE)), rcpt="trust") as door:
        client = await door.client()
        assert await begin(client, "b@example.org", "gone@example.org", "busy@example.org") == GONE["busy@example.org"]
        assert door.pipeline.seen == door.sink.mails == []


async def again(client: Client, *recipients: str) -> list[str]:
    """The replies to RCPT and DATA of a message that is sent once more, and to its content where that is let in."""
    client.say("RSET\r\nMAIL FROM:<a@doa.example.gov>\r\n" + "".join(f"RCPT TO:<{each}>\r\n" for each in recipients))
    _, _, *answers = await client.replies(2 + len(recipients))
    answers.append(await client.ask("DATA"))
    if answers[-1].startswith("354"):
        answers.append(await client.ask(b"x\r\n.\r\n"))
    return [answer[:3] for answer in answers]


async def test_who_was_put_off_holds_up_nobody_when_the_message_comes_again() -> None:
    async with open_door(Sink(refuse=dict(GONE)), rcpt="trust") as door:
        client = await door.client()
        assert await begin(client, "b@example.org", "busy@example.org") == GONE["busy@example.org"]
        assert await again(client, "c@example.org") == ["250", "354", "250"], (
            "other mail of that sender takes nothing away"
        )
        assert await again(client, "b@example.org", "busy@example.org") == ["250", "450", "354", "250"]
        assert door.sink.recipients == ["c@example.org", "b@example.org"]
        assert await again(client, "busy@example.org") == ["250", "450"]
        del door.sink.refuse["busy@example.org"]  # it held up nobody, so the next hop is asked again
        assert await again(client, "busy@example.org") == ["250", "354", "250"]


@pytest.mark.parametrize("over", [{}, {"u4@example.org": "552 too many", "u5@example.org": "552 5.5.3 too many"}])
async def test_those_beyond_the_next_hops_limit_are_left_to_the_pipeline(over: dict[str, str]) -> None:
    async with open_door(Sink(recipient_limit=4, refuse=over), rcpt="trust") as door:
        client, everybody = await door.client(), NAMES[:6]
        assert (await begin(client, *everybody)).startswith("354")
        assert await client.ask(b"x\r\n.\r\n") == TAKEN
        (seen,) = door.pipeline.seen
        assert (list(seen.addresses), seen.beyond, seen.refused) == (everybody, 2, ())
        assert door.sink.recipients == everybody[:4]


async def test_a_refused_sender_is_told_at_data() -> None:
    async with open_door(rcpt="trust") as door:
        door.sink.at("MAIL", say("552 5.3.4 too large for me"), times=1)
        client = await door.client()
        assert await begin(client, "b@example.org") == "552 5.3.4 too large for me"
        assert (await begin(client, "b@example.org")).startswith("354")


async def test_a_next_hop_that_goes_is_451() -> None:
    async with open_door(rcpt="trust") as door:
        door.sink.at("RCPT", close())
        client = await door.client()
        assert (await begin(client, "b@example.org")).startswith("451 4.4.1 ")


async def test_a_group_with_data_is_answered_in_one_go() -> None:
    async with open_door(rcpt="trust") as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        client.say("MAIL FROM:<a@doa.example.gov>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
        assert [reply[:3] for reply in await client.replies(3)] == ["250", "250", "354"]
        assert await client.ask(b"x\r\n.\r\n") == TAKEN


async def test_an_address_that_does_not_exist_is_refused_at_once() -> None:
    async with open_door(rcpt="trust", is_unknown=lambda address: address.startswith("unknown")) as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        await client.ask("MAIL FROM:<a@doa.example.gov>")
        assert (await client.ask("RCPT TO:<unknown@example.gov>")).startswith("550 5.1.1 ")
        assert (await client.ask("DATA")).startswith("554 5.5.1 ")
        assert door.sink.commands["MAIL"] == 0


async def test_where_each_is_asked_about_the_next_hop_says_who_exists() -> None:
    async with open_door(is_unknown=lambda address: True) as door:
        client = await door.client()
        assert (await client.envelope("unknown@example.gov")).startswith("354")
