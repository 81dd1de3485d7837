"""Where TLS begins after clear text: given whole, byte by byte, with bytes missing, or refused."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise

import pytest

from easpcap import limits
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, End, Gap
from easpcap.tls.prologue.hellos import begins_client_hello, begins_server_answer
from easpcap.tls.prologue.prologue import Prologue
from tests.support.prologues import AGREED, C, S
from tests.support.tls_peer import record_session, record_tlslite

every_protocol = pytest.mark.parametrize("name", AGREED)


@cache
def hellos():
    """A real ClientHello and ServerHello with what follows it in its flight."""
    flights = record_session().flights
    return flights[0][1], flights[1][1]


def handshake():
    client, server = hellos()
    return [(C, client), (S, server)]


class Watch:
    """A prologue, and the events it has passed on."""

    def __init__(self, **options):
        self.prologue = Prologue(**options)
        self.offsets = [0, 0]
        self.clear = []

    def take(self, event):
        if self.prologue.begins is None:
            self.clear += self.prologue.feed(event)
        else:
            self.prologue.held.append(event)
        return self

    def say(self, story, step=None):
        for direction, data in story:
            for at in range(0, len(data), step or len(data)):
                piece = data[at : at + (step or len(data))]
                self.take(Data(direction, self.offsets[direction], piece))
                self.offsets[direction] += len(piece)
        return self

    def lose(self, direction, data):
        self.take(Gap(direction, self.offsets[direction], len(data), len(data)))
        self.offsets[direction] += len(data)
        return self

    def finish(self):
        if self.prologue.begins is None:
            self.clear += self.prologue.finish()
        return self

    def text(self, events, direction):
        return b"".join(e.data for e in events if type(e) is Data and e.direction == direction)

    @property
    def begins(self):
        return self.prologue.begins


def lengths(story):
    return tuple(sum(len(data) for to, data in story if to == direction) for direction in (C, S))


SMTP_LENGTHS = lengths(AGREED["SMTP STARTTLS"])
CLEAR_LENGTHS = lengths(AGREED["clear text"])


def assert_begins_after(watch, story):
    """TLS begins exactly after the story; all the rest is held, and nothing is passed on twice."""
    assert watch.begins.direction == C
    assert watch.begins.starts == lengths(story)
    for direction, (said, hello) in enumerate(zip((C, S), hellos(), strict=True)):
        clear = b"".join(data for to, data in story if to == said)
        assert watch.text(watch.clear, direction) == clear
        assert watch.text(watch.prologue.held, direction) == hello


#: Another layer reads HTTP and opens the tunnel: here only the handshake itself shows TLS.
UNANNOUNCED = {"clear text", "HTTP CONNECT", "HTTP upgrade"}


@every_protocol
@pytest.mark.parametrize("step", [None, 1, 7])
def test_tls_begins_directly_after_its_announcement(name, step):
    story = AGREED[name]
    watch = Watch().say(story + handshake(), step)
    assert_begins_after(watch, story)
    assert watch.begins.after == ("" if name in UNANNOUNCED else name)


@pytest.mark.parametrize("name", [name for name in AGREED if name not in UNANNOUNCED])
def test_a_handshake_that_was_announced_needs_no_answer(name):
    client, _ = hellos()
    watch = Watch().say([*AGREED[name], (C, client)])
    assert watch.begins is not None


def test_a_handshake_that_nothing_announced_waits_for_its_answer():
    client, server = hellos()
    watch = Watch().say([*AGREED["clear text"], (C, client)])
    assert watch.begins is None
    watch.say([(S, server[:43])])
    assert watch.begins is None
    watch.say([(S, server[43:])])
    assert_begins_after(watch, AGREED["clear text"])


def test_an_alert_answers_a_handshake_too():
    client, _ = hellos()
    watch = Watch().say([*AGREED["clear text"], (C, client), (S, bytes.fromhex("15030100020228"))])
    assert watch.begins.starts == CLEAR_LENGTHS


@pytest.mark.parametrize("step", [None, 1])
def test_a_hello_in_sslv2_format_begins_tls(step):
    challenge = bytes(range(1, 17))
    body = b"\x01\x03\x01" + b"\x00\x06\x00\x00\x00\x10" + b"\x00\x00\x2f\x00\x00\x0a" + challenge
    hello = (0x8000 | len(body)).to_bytes(2, "big") + body
    watch = Watch().say([*AGREED["SMTP STARTTLS"], (C, hello)], step)
    assert watch.begins.after == "SMTP STARTTLS"


def test_ssl_3_is_found_after_clear_text():
    flights = record_tlslite(0x0300, "rc4", "md5").flights
    watch = Watch().say([*AGREED["clear text"], *flights[:2]])
    assert watch.begins is not None


# ---------------------------------------------------------------------- what is missing


@pytest.mark.parametrize("step", [None, 1])
def test_lost_clear_text_does_not_hide_the_handshake(step):
    story = AGREED["SMTP STARTTLS"]
    for lost in range(len(story)):
        watch = Watch()
        for number, (direction, data) in enumerate(story):
            watch.lose(direction, data) if number == lost else watch.say([(direction, data)], step)
        watch.say(handshake(), step)
        assert watch.begins.starts == SMTP_LENGTHS, story[lost]
        assert watch.begins.after == {3: "", 4: "STARTTLS"}.get(lost, "SMTP STARTTLS")
        assert not [event for event in watch.prologue.held if type(event) is Gap]


def test_if_the_answer_is_lost_the_command_is_enough():
    story, (client, server) = AGREED["SMTP STARTTLS"], hellos()
    watch = Watch().say(story[:-1]).lose(*story[-1]).say([(C, client)]).lose(S, server)
    assert watch.begins.after == "STARTTLS"
    assert watch.begins.starts == SMTP_LENGTHS


def test_if_the_client_hello_is_lost_the_agreement_decides():
    story, (client, server) = AGREED["SMTP STARTTLS"], hellos()
    watch = Watch().say(story).lose(C, client).say([(S, server)])
    assert watch.begins.starts == SMTP_LENGTHS
    assert type(watch.prologue.held[0]) is Gap


@pytest.mark.parametrize("step", [None, 1])
def test_if_everything_after_the_command_is_lost_the_server_hello_decides(step):
    story, (client, server) = AGREED["SMTP STARTTLS"], hellos()
    watch = Watch().say(story[:3], step).lose(*story[3]).say(story[4:], step)
    watch.lose(C, client[:60]).say([(C, client[60:]), (S, server)], step)
    assert watch.begins.starts == SMTP_LENGTHS
    assert watch.begins.after == ""


def test_a_handshake_cut_in_the_middle_begins_where_it_began():
    client, server = hellos()
    watch = Watch().say([*AGREED["clear text"], (C, client[:30])]).lose(C, client[30:]).say([(S, server)])
    assert watch.begins.starts == CLEAR_LENGTHS


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize(
    "name", ["SMTP STARTTLS", "IMAP STARTTLS", "FTP AUTH TLS", "PostgreSQL SSLRequest", "MySQL SSLRequest"]
)
def test_if_only_the_client_was_captured_the_command_is_enough(name, step):
    client, _ = hellos()
    said = [(to, data) for to, data in AGREED[name] if to == C]
    watch = Watch().say([*said, (C, client)], step).finish()
    assert watch.begins.starts == lengths(said)


# ---------------------------------------------------------------------- near misses


def stays_clear(watch):
    watch.finish()
    assert watch.begins is None
    for direction in (C, S):
        clear = watch.text(watch.clear, direction)
        assert len(clear) == watch.offsets[direction]
    offsets = [0, 0]
    for event in watch.clear:
        assert event.offset == offsets[event.direction]
        offsets[event.direction] += len(event.data)


REFUSED = {
    "SMTP": [(C, b"STARTTLS\r\n"), (S, b"454 TLS not available\r\n"), (C, b"MAIL FROM:<a@b>\r\n")],
    "IMAP": [(C, b"a1 STARTTLS\r\n"), (S, b"a1 BAD no\r\n"), (C, b"a2 LOGIN x y\r\n")],
    "POP3": [(C, b"STLS\r\n"), (S, b"-ERR Command not permitted\r\n"), (C, b"USER x\r\n")],
    "PostgreSQL": [
        (C, bytes.fromhex("0000000804d2162f")),
        (S, b"N"),
        (C, b"\x00\x00\x00\x10\x00\x03\x00\x00user\x00\x00\x00\x00"),
    ],
    "LDAP": [
        (C, AGREED["LDAP StartTLS"][0][1]),
        (S, bytes.fromhex("300c02010178070a010204000400")),
        (C, b"\x30\x05\x02\x01\x02\x42\x00"),
    ],
    "SOCKS5": [(C, b"\x05\x01\x00"), (S, b"\x05\xff")],
}  # fmt: skip


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("name", REFUSED)
def test_if_the_server_refuses_everything_stays_clear_text(name, step):
    stays_clear(Watch().say(REFUSED[name], step))


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("name", AGREED)
def test_a_client_that_continues_in_the_clear_sends_clear_text(name, step):
    stays_clear(
        Watch().say([*AGREED[name], (C, b"NOOP\r\n"), (S, b"250 well\r\n"), (C, b"\x16\r\n"), (S, b"\x15\r\n")], step)
    )


@pytest.mark.parametrize("step", [None, 1, 50])
def test_a_handshake_that_is_uploaded_stays_clear(step):
    client, server = hellos()
    mail = [
        (S, b"354 send the message\r\n"),
        (C, b"Subject: a capture\r\n\r\nSTARTTLS\r\n" + client + server),
        (S, b"250 queued\r\n"),
        (C, client),  # even where the sender stopped for an answer
        (S, b"250 queued\r\n"),
        (C, b"STARTTLS\r\n" + client),
        (S, b"500 what\r\n"),
    ]
    stays_clear(Watch().say(mail, step))


def test_a_handshake_that_is_downloaded_stays_clear():
    client, server = hellos()
    stays_clear(
        Watch().say([(C, b"RETR capture\r\n"), (S, client + server), (C, b"more\r\n"), (S, server), (S, client)])
    )


@pytest.mark.parametrize("at", [0, 1, 2, 5, 9, 43])
def test_every_field_of_a_hello_must_have_a_valid_value(at):
    client, server = hellos()
    damaged = bytes(0x7F if place == at else byte for place, byte in enumerate(client))
    assert begins_client_hello(client) is True
    assert begins_client_hello(damaged) is False
    assert begins_client_hello(client[:43]) is None
    assert begins_client_hello(server) is False
    assert begins_server_answer(server) is True
    assert begins_server_answer(client) is False


# ---------------------------------------------------------------------- tunnels, roles, bounds


def test_tls_may_begin_at_the_first_byte_of_a_tunnel():
    client, _ = hellos()
    watch = Watch(starts=(100, 50), tunnel="HTTP CONNECT").take(Data(C, 100, client))
    assert watch.begins.starts == (100, 50)
    assert watch.begins.after == "HTTP CONNECT"


def test_a_tunnel_may_hold_clear_text_before_tls():
    watch = Watch(tunnel="HTTP CONNECT").say(AGREED["SMTP STARTTLS"] + handshake())
    assert watch.begins.after == "HTTP CONNECT, SMTP STARTTLS"


def test_lost_bytes_alone_do_not_begin_tls_in_a_tunnel():
    watch = Watch(tunnel="HTTP CONNECT").lose(C, b"0123456789").say([(S, b"220 hi\r\n"), (C, b"EHLO\r\n")]).finish()
    assert watch.begins is None


def test_tls_is_found_even_if_the_roles_are_wrong():
    turned = [(1 - to, data) for to, data in AGREED["SMTP STARTTLS"] + handshake()]
    watch = Watch().say(turned)
    assert watch.begins.direction == TO_CLIENT
    assert watch.begins.starts == SMTP_LENGTHS[::-1]


def test_held_bytes_are_limited():
    client, _ = hellos()
    watch = Watch().say([*AGREED["clear text"], (C, client)])
    watch.say([(C, bytes(1000))] * (limits.MAX_PROLOGUE_HELD_BYTES // 1000 + 1))
    assert not watch.prologue.held
    stays_clear(watch)


def test_held_gaps_are_limited_as_well():
    watch = Watch().say([(C, b"x")])
    for _ in range(3000):
        watch.lose(C, b"0123456789")
        assert len(watch.prologue.held) < 1100


def test_the_search_ends_after_enough_clear_text():
    watch = Watch()
    for _ in range(limits.MAX_PROLOGUE_BYTES // 2000):
        assert not watch.prologue.over
        watch.say([(C, bytes(1000)), (S, bytes(1000))])
    assert watch.prologue.over or watch.say([(C, bytes(1000))]).prologue.over


def test_ends_are_passed_on_in_their_place():
    client, _ = hellos()
    watch = Watch().say([*AGREED["clear text"], (C, client)])
    watch.take(End(TO_CLIENT, CLEAR_LENGTHS[S], "fin")).take(End(TO_SERVER, CLEAR_LENGTHS[C] + len(client), "fin"))
    assert [type(event) for event in watch.clear[-3:]] == [Data, End, End]
    assert watch.finish().begins is None


# ---------------------------------------------------------------------- anything at all


def any_story(chance):
    """Random turns of requests, answers and hellos, whole or in part; the last field: whether the bytes are lost."""
    client, server = hellos()
    words = [data for story in AGREED.values() for _, data in story]
    words += [
        client,
        server,
        client[:20],
        server[:20],
        b"\x16",
        b"\x16\x03",
        b"\x80",
        b"\x15\x03\x01\x00\x02\x01\x00",
        b"\n",
    ]
    story = []
    for _ in range(chance.randrange(1, 12)):
        data = b"".join(chance.choice(words) for _ in range(chance.randrange(1, 3)))
        story.append((chance.choice((C, S)), data, chance.random() < 0.15))
    return story


def watched(story, chance=None):
    watch = Watch()
    for direction, data, lost in story:
        if lost:
            watch.lose(direction, data)
            continue
        marks = {0, len(data)} | ({chance.randrange(len(data)) for _ in range(4)} if chance else set())
        watch.say([(direction, data[a:b]) for a, b in pairwise(sorted(marks))])
    return watch.finish()


@pytest.mark.parametrize("seed", range(100))
def test_any_conversation_is_passed_on_completely_however_it_is_cut_into_pieces(seed):
    chance = random.Random(seed)
    story = any_story(chance)
    whole, cut = watched(story), watched(story, chance)
    assert whole.begins == cut.begins
    for watch in (whole, cut):
        for direction in (C, S):
            events = [e for e in [*watch.clear, *watch.prologue.held] if e.direction == direction]
            assert watch.text(events, direction) == b"".join(d for to, d, lost in story if to == direction and not lost)
            at = 0
            for event in events:
                assert event.offset == at
                at += len(event.data) if type(event) is Data else event.length
        if watch.begins is not None:
            assert all(event.offset >= watch.begins.starts[event.direction] for event in watch.prologue.held)
