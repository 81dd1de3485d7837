"""Devices by the names that people use."""

from __future__ import annotations

import pytest

from easpcap.activesync.apple import MODELS, VERSION_PREFIXES, VERSIONS
from easpcap.activesync.devices import apple_build, name_device

NAMES = {
    "Apple-iPhone3C1/802.117": "iPhone 4, iOS 4.1",
    "Apple-iPhone/705.18": "iPhone, iOS 3.1.3",
    "Apple-iPad1C1/702.367": "iPad, iOS 3.2",
    "Apple-iPod4C1/803.14800001": "iPod Touch 4, iOS 4.2.1",
    "Apple-iPhone1C2/801.293": "iPhone 3G, iOS 4.0",
    "Apple-iPhone4C1/901.405": "iPhone 4S, iOS 5.0.1",
    "Apple-iPhone4C1/902.206": "iPhone 4S, iOS 5.1.1",
    "Apple-iPhone99C7/1505.302": "iPhone99,7, iOS 11.3.1",
    "Apple-iPhone4C1/1505.999": "iPhone 4S, build 15E999",
    "Apple-iPhone4C1": "iPhone 4S",
    "iOS/11.2.6 (15D100) dataaccessd/1.0": "iOS 11.2.6",
    "Android/5.1.1-EAS-1.3": "Android 5.1.1",
    "KSAndroid/5.1.1-EAS-1.3": "KSAndroid 5.1.1",
    "SAMSUNG-GT-I9100/100.20304": "SAMSUNG GT-I9100",
    "NokiaE721/2.02(0)MailforExchange 3gpp-gba": "NokiaE721",
    "MSFT-SPhone/5.2.204": "Smartphone, Windows Mobile 5.2",
    "MSFT-WIN-3/6.2.9200": "Windows Mail, Windows 6.2.9200",
    "Outlook-iOS-Android/1.0": "Outlook for iOS and Android",
    "TestActiveSyncConnectivity": "connectivity test",
    "curl/7.88": None,
    "": None,
}


@pytest.mark.parametrize("user_agent", NAMES)
def test_a_user_agent_names_its_device(user_agent):
    assert name_device(user_agent) == NAMES[user_agent]


@pytest.mark.parametrize(
    ("build", "apple"),
    [
        ("803.14800001", "8C148a"),
        ("801.293", "8A293"),
        ("1801.8395", "18A8395"),
        ("508.11", "5H11"),
        ("800.1", "800.1"),
    ],
)
def test_apple_builds_are_formatted(build, apple):
    assert apple_build(build) == apple


def test_the_tables_are_complete():
    assert len(MODELS) == 47
    assert len(VERSIONS) + len(VERSION_PREFIXES) == 182
    assert not set(VERSIONS) & set(VERSION_PREFIXES)


def test_digits_that_are_no_suffix_stay_part_of_a_build():
    assert apple_build("803.100000") == "8C100000"
    assert apple_build("803.14800001") == "8C148a"
