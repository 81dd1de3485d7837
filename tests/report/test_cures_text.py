"""The cure of a finding on the screen: what fits the server that was seen, short enough to read."""

from __future__ import annotations

from easpcap.advice import remedies
from easpcap.advice.site import Site
from easpcap.report.text.cures import cure_lines
from easpcap.report.text.layout import Layout

IIS7 = Site("mail.contoso.com", 443, "Microsoft-IIS/7.5")


def screen(found):
    return "".join(cure_lines(found, Layout(100), indent=10, label_width=9))


def deadlock(site):
    return screen(remedies.ask_in_first_handshake(site, *remedies.free_waiting_threads(site)))


def test_each_action_is_shown_for_one_product():
    text = deadlock(IIS7)
    assert text.count("first handshake. IIS") == 1
    assert "netsh http delete sslcert" in text
    assert "adsutil" not in text
    assert "SSLVerifyClient" not in text


def test_a_stop_gap_has_its_own_label_and_comes_after_the_cure():
    text = deadlock(IIS7)
    assert text.index("Cure") < text.index("clientcertnegotiation=enable") < text.index("Stop-gap")
    assert "Recycle the application pool" in text.split("Stop-gap")[1]


def test_no_alternative_without_a_command_follows_a_cure_with_commands():
    assert "Expect: 100-continue" not in deadlock(IIS7)


def test_the_chief_side_effect_of_every_remedy_on_the_screen_is_named():
    found = remedies.ask_in_first_handshake(IIS7, *remedies.raise_read_ahead(IIS7, 300_000))
    beware = screen(found).split("Beware")[1]
    assert "HTTPS is down between the delete and the add." in beware
    assert "The unit is bytes" in beware
    assert "hold that much memory" in beware


def test_what_is_left_out_is_named_with_the_command_that_shows_it():
    more = " ".join(deadlock(IIS7).rpartition("More")[2].split())
    assert "Apache" in more
    assert more.endswith("easpcap findings --format json")


def test_without_remedies_there_is_no_cure():
    assert screen([]) == ""
